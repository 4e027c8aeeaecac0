"""What `textgym new-env` writes: a file with its headings and example data, and its test.

`$NAME` stands for what the command fills in; `FILL` marks what the author does.
"""

from __future__ import annotations

from string import Template

ENVIRONMENT = Template('''\
"""$ID: FILL one line, what is asked for.

Description:
    FILL what the agent reads, what it writes and what people want of it. As it stands: a prompt
    names two colours, and the response repeats them in the other order.

Observation:
    `Box(0, V, (L,), int64)`: the prompt's tokens, the response's, then V in every empty cell.

Action:
    `Discrete(A)`: the next token.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step where there is a reference model, and the score at the
    end: the gold utility, unless `reward` names another.

Episode end:
    An end token or `max_new_tokens`; both terminate.

Info:
    As in every text environment (docs/environment.md); `gold_score` at the end.

Arguments:
    Those of `TextEnvConfig`.

Data:
    FILL where it comes from, and its licence. Item i of a split is a pure function of
    (`data_seed`, `split`, i); splits share no item. A thousand items each.

Version history:
    v0: first version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

${REGISTER_IMPORT}import numpy as np

from textgym.config import SPLITS, TextEnvConfig
from textgym.task import TextTask
from textgym.task_models import text_task
from textgym.token_env import TokenEnv
from textgym.types import Episode, Prompt
from textgym.vector_env import TokenVectorEnv

# FILL the example data: facts to draw from, the tokens that are needed, and the longest texts in
# tokens. For a language model's own vocabulary, drop "tokenizer" and name its folder as
# "reference_model".
COLOURS = ("red", "green", "blue", "black", "white", "grey")
SYMBOLS = "symbols:swap " + " ".join(COLOURS) + " <eos>"
DEFAULTS = {
    "tokenizer": SYMBOLS,
    "reward": "gold",
    "max_prompt_tokens": 3,
    "max_new_tokens": 3,
}


class ${CLASS}Prompts:
    """The items of a split, drawn when they are asked for."""

    def __init__(self, data_seed: int, split: str, size: int | None = None) -> None:
        """Keep what the items are a function of; `size` None for a thousand."""
        self.data_seed, self.split, self.size = data_seed, split, size or 1000

    def __len__(self) -> int:
        """Return the number of items."""
        return self.size

    def __getitem__(self, prompt_id: int) -> Prompt:
        """Return one item: draws until there is one that belongs to the split."""
        generator = np.random.default_rng((self.data_seed, SPLITS.index(self.split), prompt_id))
        while True:
            # FILL how an item is drawn, written down and answered by a person.
            first, second = generator.choice(COLOURS, size=2, replace=False).tolist()
            text = f"swap {first} {second}"
            if split_of(text) == self.split:
                return Prompt(
                    prompt_id=prompt_id,
                    text=text,
                    references=(f"{second} {first}",),
                    facts={"wanted": (second, first)},
                )


def split_of(text: str) -> str:
    """Return the split that owns a text: a tenth each for validation and test, by its hash."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 10
    return {0: "validation", 1: "test"}.get(bucket, "train")


class ${CLASS}Gold:
    """What people want: the share of the right words at the right places, in [0, 1]."""

    name = "gold"
    needs_facts = True  # so it has nothing to say of a prompt of somebody's own

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        return np.array([self._score(episode) for episode in episodes], dtype=np.float32)

    def _score(self, episode: Episode) -> float:
        # FILL the utility: facts that can be checked, and that broken text cannot fool.
        wanted, words = episode.prompt.facts["wanted"], episode.response.split()
        right = sum(word == want for word, want in zip(words, wanted, strict=False))
        return right / max(len(wanted), len(words))


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task: the items, the gold utility, and models where the arguments name some."""
    prompts = ${CLASS}Prompts(config.data_seed, config.split, config.num_prompts)
    return text_task(config, prompts=prompts, gold=${CLASS}Gold())


class ${CLASS}Env(TokenEnv):
    """One row of $ID; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


class ${CLASS}VectorEnv(TokenVectorEnv):
    """N rows of $ID; see the module's docstring."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS
$REGISTER''')

REGISTER = Template("""

gym.register(
    "$ID",
    entry_point="$MODULE:${CLASS}Env",
    vector_entry_point="$MODULE:${CLASS}VectorEnv",
)
""")

TEST = Template('''\
"""$ID keeps the contract of text environments, and its data and utility make sense."""

from __future__ import annotations

import pytest

import $MODULE as environment
from textgym.testing import Case, check_gold_order, check_text_env
from textgym.types import Episode

ID = "$ID"
Prompts = environment.${CLASS}Prompts


def test_contract() -> None:
    check_text_env(ID, num_steps=20)


def test_better_policies_earn_more() -> None:
    check_gold_order(Case(id=ID))


def test_items_are_pure_functions_of_their_index() -> None:
    one, other = Prompts(0, "train"), Prompts(0, "train")
    assert [one[i] for i in (5, 0, 9)] == [other[i] for i in (5, 0, 9)]
    assert [one[i].text for i in range(20)] != [Prompts(1, "train")[i].text for i in range(20)]
    assert one[7].prompt_id == 7


def test_splits_share_no_item() -> None:
    found = [{Prompts(0, split)[i].text for i in range(200)} for split in environment.SPLITS]
    assert all(found) and not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])


@pytest.mark.parametrize("split", environment.SPLITS)
def test_people_are_paid_well(split: str) -> None:
    items = [Prompts(0, split)[i] for i in range(20)]
    episodes = [
        Episode(
            prompt=item,
            prompt_ids=(),
            response_ids=(),
            response=item.references[0],
            finish_reason="eos",
        )
        for item in items
    ]
    assert environment.${CLASS}Gold()(episodes).min() > 0.9
''')

ROW = Template("""\
    EnvRow(
        id="$ID",
        entry_point="$MODULE:${CLASS}Env",
        vector_entry_point="$MODULE:${CLASS}VectorEnv",
        family="token",
        suite="RLHF",
        summary="FILL one line",
    ),
""")
