"""What one environment is made of. Shape letters: R rows, L width, A actions, V vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from textgym.config import TextEnvConfig
from textgym.masks import MaskFn
from textgym.prompts import PromptSource
from textgym.reference import Reference
from textgym.rewards.base import RewardFn
from textgym.tokenizer import Tokenizer
from textgym.turns import Responder
from textgym.types import Episode

MakeReference = Callable[[int, int], Reference]
RegretFn = Callable[[Episode, float, float], float]


@dataclass(frozen=True, kw_only=True)
class TextTask:
    """The parts of a token-level MDP, built once per environment from its configuration.

    Attributes:
        config: The environment's arguments.
        prompts: Where prompts come from.
        tokenizer: Text to ids and back.
        reward: Scores finished episodes.
        gold: Hidden true utility, None where the task has none; scores end in `gold_score`.
        make_reference: `(num_rows, width) -> Reference`, None for a task without a reference.
        eos_ids: Every id that ends a response.
        stop: Strings that end a response.
        action_tokens: (A,) int64, distinct; action to token id.
        mask_fn: `(ids (R, L), lengths (R,), prompt_lengths (R,)) -> (R, A) bool`, True where the
            action is allowed; a pure function of the row; None where everything is.
        responder: Answers where a turn of the agent ends (an end token, a stop string or
            `Responder.max_turn_tokens`) and decides when the episode ends; None where the end of
            the first turn is the end of the episode.
        regret: `(episode, kl_coef, temperature) -> float`, see `Episode.regret`; None where the
            optimum is not known.
    """

    config: TextEnvConfig
    prompts: PromptSource
    tokenizer: Tokenizer
    reward: RewardFn
    action_tokens: np.ndarray
    eos_ids: tuple[int, ...]
    gold: RewardFn | None = None
    make_reference: MakeReference | None = None
    stop: tuple[str, ...] = ()
    mask_fn: MaskFn | None = None
    responder: Responder | None = None
    regret: RegretFn | None = None

    def __post_init__(self) -> None:
        """Check that tokens fit the vocabulary, that there are prompts, and the turns' caps."""
        tokens, vocab_size = self.action_tokens, self.tokenizer.vocab_size
        if tokens.ndim != 1 or not tokens.size or len(np.unique(tokens)) != tokens.size:
            raise ValueError(f"action_tokens must be distinct ids, at least one, got {tokens!r}")
        if tokens.min() < 0 or tokens.max() >= vocab_size:
            raise ValueError(
                f"action_tokens must lie in [0, {vocab_size}), got {tokens.min()} to {tokens.max()}"
            )
        outside = [i for i in self.eos_ids if not 0 <= i < vocab_size]
        if outside:
            raise ValueError(f"eos_ids must lie in [0, {vocab_size}), got {outside}")
        if len(self.prompts) == 0:
            raise ValueError("the prompt source is empty, expected at least one prompt")
        if self.responder is not None:
            self._check_turns(self.responder)

    def _check_turns(self, responder: Responder) -> None:
        for name in ("max_turn_tokens", "max_reply_tokens"):
            value = getattr(responder, name, None)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} of the responder must be at least 1, got {value!r}")
        if self.config.min_new_tokens > responder.max_turn_tokens:
            raise ValueError(
                f"min_new_tokens must be at most the responder's max_turn_tokens="
                f"{responder.max_turn_tokens}, got {self.config.min_new_tokens!r}"
            )
