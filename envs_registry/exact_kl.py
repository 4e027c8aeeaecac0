"""Probe-ExactKL-v0: a token MDP small enough to enumerate.

Description:
    Six tokens, four steps: every response can be listed, so the optimum of the KL-regularised
    objective is known exactly (`exact_kl_solution.exact_solution`) and an algorithm's distance to
    it can be measured. Nothing here loads a model.
Observation:
    `Box(0, 6, (5,), int64)`: the prompt "<bos>" (token 0), up to four response tokens, 6 where
    empty.
Action:
    `Discrete(6)`: the tokens `<bos> a b c d <eos>`; `<bos>` may be written like any other.
Reward:
    `kl_coef * log pi_ref(a|s)` at each step, from a seeded random table of logits, plus at the end
    the score: a seeded random table over whole responses, standard normal.
Episode end:
    `<eos>`, or four tokens.
Info:
    As in every text environment (docs/environment.md); no `gold_score`.

Arguments:
    `table_seed` (0): draws both tables. Those of `TextEnvConfig`; `kl_coef` is 0.1 by default.
Data:
    One prompt.
Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from textgym.config import TextEnvConfig, check_int
from textgym.prompts import PromptList
from textgym.reference import TableReference
from textgym.task import TextTask
from textgym.task_parts import action_tokens_from, mask_from
from textgym.token_env import TokenEnv
from textgym.tokenizer import load_tokenizer
from textgym.types import Episode, TokenIds
from textgym.vector_env import TokenVectorEnv

SYMBOLS = "symbols:<bos> a b c d <eos>"
VOCAB_SIZE = 6
EOS = 5
MAX_NEW_TOKENS = 4


@dataclass(frozen=True, kw_only=True)
class ExactKLConfig(TextEnvConfig):
    """Arguments of Probe-ExactKL-v0.

    Attributes:
        table_seed: Draws the reference's logits and the score of every response.
    """

    table_seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_int("table_seed", self.table_seed, at_least=0)


class ExactKLTables:
    """The reference's logits by state and the score by response."""

    def __init__(self, table_seed: int, max_new_tokens: int = MAX_NEW_TOKENS) -> None:
        """Draw both tables; at most `6 ** max_new_tokens` responses are held."""
        self.table_seed, self.max_new_tokens = table_seed, max_new_tokens

    @cached_property
    def responses(self) -> tuple[TokenIds, ...]:
        """Every finished response, shortest first."""
        inner = [token for token in range(VOCAB_SIZE) if token != EOS]
        ended = [
            (*body, EOS)
            for length in range(self.max_new_tokens)
            for body in product(inner, repeat=length)
        ]
        return (*ended, *product(inner, repeat=self.max_new_tokens))

    @cached_property
    def states(self) -> tuple[TokenIds, ...]:
        """Every unfinished response, shortest first."""
        inner = [token for token in range(VOCAB_SIZE) if token != EOS]
        lengths = range(self.max_new_tokens)
        return tuple(body for length in lengths for body in product(inner, repeat=length))

    @cached_property
    def logits(self) -> dict[TokenIds, np.ndarray]:
        """State (the response so far) to the reference's logits, (6,) float64."""
        generator = np.random.default_rng([self.table_seed, 0])
        return {state: generator.standard_normal(VOCAB_SIZE) for state in self.states}

    @cached_property
    def scores(self) -> dict[TokenIds, float]:
        """Finished response to its score."""
        generator = np.random.default_rng([self.table_seed, 1])
        values = generator.standard_normal(len(self.responses))
        return dict(zip(self.responses, values.tolist(), strict=True))

    def reference_logits(self, state: TokenIds) -> np.ndarray:
        """Return the logits after a prompt of one token; zeros beyond the last step."""
        return self.logits.get(tuple(state[1:]), np.zeros(VOCAB_SIZE))


class TableReward:
    """The score of a response, looked up."""

    name = "table"

    def __init__(self, tables: ExactKLTables) -> None:
        """Keep the tables."""
        self._tables = tables

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        scores = [self._tables.scores[episode.response_ids] for episode in episodes]
        return np.array(scores, dtype=np.float32)


def build_task(config: ExactKLConfig) -> TextTask:
    """Return the task: tables instead of models."""
    tokenizer = load_tokenizer(SYMBOLS)
    tables = ExactKLTables(config.table_seed, config.max_new_tokens)
    action_tokens = action_tokens_from(config, tokenizer)
    return TextTask(
        config=config,
        prompts=PromptList(["<bos>"]),
        tokenizer=tokenizer,
        reward=TableReward(tables),
        make_reference=lambda num_rows, width: TableReference(
            lambda state: tables.reference_logits(state)[action_tokens], action_tokens
        ),
        eos_ids=tokenizer.eos_ids,
        stop=config.stop_strings,
        action_tokens=action_tokens,
        mask_fn=mask_from(config, action_tokens, tokenizer.eos_ids),
    )


DEFAULTS = {"kl_coef": 0.1, "max_prompt_tokens": 1, "max_new_tokens": MAX_NEW_TOKENS}


class ExactKLEnv(TokenEnv):
    """One row of Probe-ExactKL-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    config_class = ExactKLConfig
    default_kwargs = DEFAULTS


class ExactKLVectorEnv(TokenVectorEnv):
    """N rows of Probe-ExactKL-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
    config_class = ExactKLConfig
    default_kwargs = DEFAULTS
