"""PromptBandit-v0: a prompt, a few ready replies, a rating.

Description:
    A customer writes a line, and one of six ready replies is sent; a rating in [0, 1] comes back.
    It is the task of a language model with everything removed but the choice: one step, one action
    for a whole reply, so a contextual bandit. Five topics have one reply each that fits them
    (0.8 on average); a sixth reply fits everything half (0.5), which is the most that a policy gets
    that does not read the prompt. Solved: a mean `gold_score` of at least 0.77.
Observation:
    `Box(0, V, (12,), int64)`: the customer's words as token ids, then the reply's, V where empty.
Action:
    `Discrete(6)`: the replies; `replies` of the unwrapped environment has them as text.
Reward:
    The rating of this reply by this customer: the mean of topic and reply, and noise of the
    customer's own that is fixed with the prompt. With `reward="gold"` the mean itself. The
    reference is uniform; `kl_coef` is 0 by default.
Episode end:
    After one action.
Info:
    As in every text environment (docs/environment.md); `response` is the reply as text,
    `gold_score` the mean of topic and reply. `reset` takes `prompt_id`; a message of one's own has
    no rating and is refused, unless `reward` is one that needs no topic.

Arguments:
    `rating_noise` (0.1): the noise is uniform in plus or minus this, 0 to 0.1. Those of
    `TextEnvConfig` but for data and models, which are fixed; "model" as `reward` is the rating.
    The unwrapped environment has `mean_ratings` (5, 6), `best_return` and `random_return`.
Data:
    Procedural messages; item i is a pure function of (data_seed, split, i), and splits share no
    message.
Version history:
    v0: first version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.callables import load_callable
from textgym.config import TextEnvConfig, check_finite
from textgym.env_parts import EnvParts
from textgym.envs_registry.draws import Draws
from textgym.envs_registry.known_optimum import refuse_fixed
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.feedback.episode_judge import EpisodeJudge
from textgym.reference import TableReference
from textgym.rewards.base import RewardFn
from textgym.rewards.lookup import reward_named
from textgym.task import TextTask
from textgym.task_parts import mask_from, refuse_idle
from textgym.token_env import TokenEnv
from textgym.tokenizer import SymbolTokenizer
from textgym.types import Episode, Prompt
from textgym.vector_env import TokenVectorEnv

COMPLAINTS = (
    ("my parcel is late", "my parcel was lost", "where is my order"),
    ("my bill is wrong", "you charged me twice", "my bill is too high"),
    ("i forgot my password", "my account is locked", "i cannot log in"),
    ("my lamp is broken", "my order arrived broken", "my lamp makes a noise"),
    ("i want to leave", "i do not want my account", "please close my account"),
)
OPENINGS = ("", "hello", "hi there", "good morning", "excuse me")
ENDINGS = ("", "please help", "thank you", "what now", "this is urgent", "again")
REPLIES = (
    "We look for your parcel and write to you today.",
    "We check the bill and pay back what was too much.",
    "We send you a link for a new password.",
    "We send you a new lamp at once.",
    "We close your account; there is nothing left to pay.",
    "Thank you for your message.",
)
FITS, FITS_HALF = 0.8, 0.5
DOES_NOT_FIT = (0.1, 0.2, 0.3, 0.4)
MAX_NOISE = 0.1
_LINES = (*OPENINGS, *ENDINGS, *(line for lines in COMPLAINTS for line in lines))
WORDS = tuple(sorted({word for line in _LINES for word in line.split()}))
SYMBOLS = (*WORDS, *(f"<reply-{number}>" for number in range(len(REPLIES))))
MAX_WORDS = 11
TEACHER = "textgym.feedback.teacher_reward:open_teacher_reward"
FIXED = (
    "dataset",
    "dataset_columns",
    "prompt_template",
    "tokenizer",
    "reference_model",
    "reward_model",
    "token_aggregate",
    "action_tokens",
    "responder",
)


@dataclass(frozen=True, kw_only=True)
class PromptBanditConfig(TextEnvConfig):
    """Arguments of PromptBandit-v0.

    Attributes:
        rating_noise: Ratings differ from their mean by at most this, 0 to 0.1.
    """

    rating_noise: float = MAX_NOISE

    def __post_init__(self) -> None:
        """Check the ranges, and refuse what would make another task of it."""
        super().__post_init__()
        check_finite("rating_noise", self.rating_noise)
        if not 0.0 <= self.rating_noise <= MAX_NOISE:
            raise ValueError(f"rating_noise must be 0 to {MAX_NOISE}, got {self.rating_noise!r}")
        refuse_fixed(self, FIXED)
        refuse_idle(self)
        if self.max_new_tokens != 1:
            raise ValueError(f"max_new_tokens must be 1, a reply, got {self.max_new_tokens!r}")


class ReplyTokenizer(SymbolTokenizer):
    """Words, and whole replies: each is one token."""

    def __init__(self) -> None:
        """Number the words, then the replies."""
        super().__init__(SYMBOLS, eos=None)

    def encode(self, text: str) -> list[int]:
        """Return the ids of the words of a message, or the one of a reply.

        Raises:
            ValueError: A word that is no symbol.
        """
        if text.strip() in REPLIES:
            return [len(WORDS) + REPLIES.index(text.strip())]
        return super().encode(text)

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Return words joined by spaces, and a reply as its text."""
        first = len(WORDS)
        return " ".join(REPLIES[i - first] if i >= first else WORDS[i] for i in map(int, ids))


class Messages(ProceduralPrompts):
    """What customers write; the facts are the topic and the noise of their ratings.

    There are 450 messages; items repeat them with another rating.
    """

    def draw(self, rng: Draws) -> dict[str, Any]:
        """Return a topic and the wording."""
        topic = rng.integers(len(COMPLAINTS))
        parts = (OPENINGS, COMPLAINTS[topic], ENDINGS)
        return {"topic": topic, "text": " ".join(p[rng.integers(len(p))] for p in parts).strip()}

    def identity(self, facts: Mapping[str, Any]) -> str:
        """Return the words: no message is in two splits."""
        return " ".join(str(facts["text"]).split())

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """Return the message, with its noise by reply in [-1, 1]."""
        noise = [2.0 * rng.random() - 1.0 for _ in REPLIES]
        return Prompt(
            prompt_id=prompt_id,
            text=self.identity(facts),
            references=(REPLIES[facts["topic"]],),
            facts={"topic": facts["topic"], "noise": noise},
        )


def mean_ratings(data_seed: int) -> np.ndarray:
    """Return the mean rating of each reply to each topic, (topics, replies) float64 in [0, 1]."""
    generator = np.random.default_rng([data_seed, 0])
    means = generator.choice(DOES_NOT_FIT, size=(len(COMPLAINTS), len(REPLIES)))
    np.fill_diagonal(means, FITS)
    means[:, -1] = FITS_HALF
    return means


class Ratings:
    """What customers say to replies."""

    needs_facts = True

    def __init__(self, name: str, means: np.ndarray, noise: float) -> None:
        """Rate by `means` (topics, replies), give or take `noise`."""
        self.name, self._means, self._noise = name, means, noise

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the ratings, (N,) float32 in [0, 1]."""
        return np.array([self._rating(episode) for episode in episodes], dtype=np.float32)

    def _rating(self, episode: Episode) -> float:
        facts = episode.prompt.facts
        reply = REPLIES.index(episode.response)
        return float(self._means[facts["topic"], reply] + self._noise * facts["noise"][reply])


def build_task(config: PromptBanditConfig) -> TextTask:
    """Return the task: words, replies and ratings."""
    tokenizer = ReplyTokenizer()
    means = mean_ratings(config.data_seed)
    gold = Ratings("gold", means, 0.0)
    prompts = Messages(config.data_seed, config.split, config.num_prompts)
    action_tokens = np.arange(len(WORDS), len(SYMBOLS), dtype=np.int64)

    def make_teacher() -> RewardFn:
        # By name: the store behind it needs an extra.
        judge = EpisodeJudge(gold=gold, prompts=prompts, tokenizer=tokenizer)
        opened: RewardFn = load_callable(TEACHER)(config, judge, (0.0, 1.0))
        return opened

    return TextTask(
        config=config,
        prompts=prompts,
        tokenizer=tokenizer,
        reward=reward_named(
            config.reward,
            gold=gold,
            make_model=lambda: Ratings("rating", means, config.rating_noise),
            make_teacher=make_teacher,
            workers=config.reward_workers,
        ),
        gold=gold,
        make_reference=lambda num_rows, width: TableReference(
            lambda state: np.zeros(len(REPLIES)), action_tokens
        ),
        eos_ids=(),
        stop=config.stop_strings,
        action_tokens=action_tokens,
        mask_fn=mask_from(config, action_tokens, ()),
    )


class PromptBanditParts(EnvParts):
    """What the single and the vector environment add: the mean ratings."""

    config_class = PromptBanditConfig
    default_kwargs = {"kl_coef": 0.0, "max_prompt_tokens": MAX_WORDS, "max_new_tokens": 1}

    @property
    def replies(self) -> tuple[str, ...]:
        """The text of each action."""
        return REPLIES

    @property
    def mean_ratings(self) -> np.ndarray:
        """(topics, replies) float64: V* of a topic is the largest of its row, Q* the row."""
        return mean_ratings(self.config.data_seed)

    @property
    def best_return(self) -> float:
        """Mean gold of the best policy; the half of the KL penalty is left out."""
        return float(self.mean_ratings.max(axis=1).mean())

    @property
    def random_return(self) -> float:
        """Mean gold of uniformly random replies."""
        return float(self.mean_ratings.mean())

    @property
    def blind_return(self) -> float:
        """Mean gold of the best policy that does not read the prompt."""
        return float(self.mean_ratings.mean(axis=0).max())


class PromptBanditEnv(PromptBanditParts, TokenEnv):
    """One row of PromptBandit-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)


class PromptBanditVectorEnv(PromptBanditParts, TokenVectorEnv):
    """N rows of PromptBandit-v0; see the module's docstring."""

    task_builder = staticmethod(build_task)
