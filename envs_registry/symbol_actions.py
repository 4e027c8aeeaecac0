"""Actions that are a few texts of one token each, such as the tags of a scheme.

Shape letters: L width, A actions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from textgym.config import TextEnvConfig
from textgym.reference import Reference
from textgym.task_models import Bundle
from textgym.token_env import TokenEnv
from textgym.tokenizer import Tokenizer, load_tokenizer
from textgym.types import Prompt

ConfigType = TypeVar("ConfigType", bound=TextEnvConfig)


def symbol_ids(tokenizer: Tokenizer, symbols: Sequence[str]) -> list[int]:
    """Return the token of each symbol.

    Raises:
        ValueError: A symbol that is no single token.
    """
    encoded = [tokenizer.encode(symbol) for symbol in symbols]
    for symbol, ids in zip(symbols, encoded, strict=True):
        if len(ids) != 1:
            raise ValueError(
                f"expected a tokenizer in which {symbol!r} is one token (`add_tokens` makes it "
                f"one), got {len(ids)} tokens"
            )
    return [ids[0] for ids in encoded]


def with_symbol_actions(
    config: ConfigType, symbols: Sequence[str], bundle: Bundle
) -> tuple[ConfigType, Tokenizer]:
    """Return the configuration whose actions are the symbols, in their order, and the tokenizer.

    Raises:
        ValueError: `action_tokens` says otherwise, or a symbol is no single token.
    """
    name = config.tokenizer or config.reference_model or bundle.path_of("reference_model")
    tokenizer = load_tokenizer(name)
    ids = ",".join(str(token) for token in symbol_ids(tokenizer, symbols))
    if config.action_tokens not in (None, ids):
        raise ValueError(
            f"the actions of {bundle.env_id} are fixed: expected no action_tokens, got "
            f"{config.action_tokens!r}"
        )
    return replace(config, action_tokens=ids), tokenizer


class SymbolEnv(TokenEnv, ABC):
    """An environment of a few actions that knows what is best, and what its reference does."""

    @abstractmethod
    def best_known_action(self) -> int:
        """Return the action of somebody who knows the facts, in the current state."""

    def reference_action(self) -> int:
        """Return an action sampled from the reference policy in the current state.

        The draws are no draws of the environment's own generator.

        Raises:
            ValueError: The task has no reference.
        """
        ids, length = self._observation(), int(self._mdp.rows.lengths[0])
        num_actions = len(self.action_tokens)
        log_probs = self._reference.step_log_probs(
            np.tile(ids, (num_actions, 1)),
            np.full(num_actions, length),
            np.arange(num_actions),
            np.tile(self.action_masks(), (num_actions, 1)),
            self.temperature,
        )
        weights = np.where(self.action_masks(), np.exp(log_probs), 0.0)
        return int(self._reference_draws.choice(num_actions, p=weights / weights.sum()))

    @property
    def _prompt(self) -> Prompt:
        prompt = self._mdp.rows.prompts[0]
        if prompt is None:
            raise ValueError("expected an episode that has begun: call reset() first")
        return prompt

    @property
    def _num_actions(self) -> int:
        return int(self._mdp.rows.num_actions[0])

    @cached_property
    def _reference(self) -> Reference:
        if self.task.make_reference is None:
            raise ValueError("expected a task with a reference, got one without")
        return self.task.make_reference(len(self.action_tokens), self._mdp.width)

    @cached_property
    def _reference_draws(self) -> np.random.Generator:
        return np.random.default_rng(0)
