"""The frozen policy that the KL term pulls towards, as the dynamics see it. Loads no torch.

Shape letters: N rows, L width of an observation, A actions, K actions of one sequence, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ResponseSequence:
    """One episode, or the part of it so far, as token ids.

    Attributes:
        ids: (T,) int64, prompt and response without empty cells.
        action_positions: (K,) int64, ascending: `ids[p]` is an action taken in the state `ids[:p]`.
        prompt_length: Tokens of the prompt, in [1, T].
    """

    ids: np.ndarray
    action_positions: np.ndarray
    prompt_length: int

    def __post_init__(self) -> None:
        """Reject positions that have no state before them."""
        positions, length = self.action_positions, len(self.ids)
        if not 1 <= self.prompt_length <= length:
            raise ValueError(f"prompt_length must be in [1, {length}], got {self.prompt_length!r}")
        if len(positions) and not (positions[0] >= 1 and positions[-1] < length):
            raise ValueError(f"action_positions must be in [1, {length - 1}], got {positions!r}")


AllowedOf = Callable[[ResponseSequence], np.ndarray]
"""Gives the (K, A) bool of allowed actions at the action positions of a sequence."""


@runtime_checkable
class Reference(Protocol):
    """Log-probabilities of actions under the frozen reference policy softmax(z / temperature)."""

    def step_log_probs(
        self,
        ids: np.ndarray,
        lengths: np.ndarray,
        actions: np.ndarray,
        allowed: np.ndarray | None = None,
        temperature: float = 1.0,
    ) -> np.ndarray:
        """Return log pi_ref of one action in each row's state, (N,) float64, nats.

        Args:
            ids: (N, L) int64; row i's state is `ids[i, :lengths[i]]`.
            lengths: (N,) int64, each at least 1.
            actions: (N,) int64 in [0, A): indices of actions, not token ids.
            allowed: (N, A) bool, the actions over which pi_ref is normalised; None for all.
            temperature: Above 0.
        """
        ...

    def sequence_log_probs(
        self,
        sequences: Sequence[ResponseSequence],
        temperature: float = 1.0,
        allowed_of: AllowedOf | None = None,
    ) -> list[np.ndarray]:
        """Return log pi_ref of every action of each sequence, (K,) float64 each, nats."""
        ...


class ActionIndex:
    """Translates token ids into action indices.

    Args:
        action_tokens: (A,) int64, the token of each action, distinct; None for the identity.
    """

    def __init__(self, action_tokens: np.ndarray | None) -> None:
        """Build the inverse table."""
        self._inverse: np.ndarray | None = None
        if action_tokens is not None:
            self._inverse = np.full(int(np.max(action_tokens)) + 1, -1, dtype=np.int64)
            self._inverse[action_tokens] = np.arange(len(action_tokens))

    def actions_of(self, tokens: np.ndarray) -> np.ndarray:
        """Return the action index of each token.

        Raises:
            ValueError: A token that is no action.
        """
        if self._inverse is None:
            return np.asarray(tokens, dtype=np.int64)
        inside = (tokens >= 0) & (tokens < len(self._inverse))
        actions = np.where(inside, self._inverse[np.where(inside, tokens, 0)], -1)
        if np.any(actions < 0):
            raise ValueError(
                f"token {int(tokens[actions < 0][0])!r} is not among the action tokens"
            )
        return actions


class TableReference:
    """A reference given as a function from a state to logits: for tests and tiny MDPs.

    Args:
        function: Gets the state as a tuple of token ids (prompt included), returns the (A,) logits.
        action_tokens: (A,) int64, the token of each action; None for the identity.
    """

    def __init__(
        self,
        function: Callable[[tuple[int, ...]], np.ndarray | Sequence[float]],
        action_tokens: np.ndarray | None = None,
    ) -> None:
        """Keep the function; it is called once per state asked for."""
        self._function = function
        self._index = ActionIndex(action_tokens)

    def step_log_probs(
        self,
        ids: np.ndarray,
        lengths: np.ndarray,
        actions: np.ndarray,
        allowed: np.ndarray | None = None,
        temperature: float = 1.0,
    ) -> np.ndarray:
        """See `Reference.step_log_probs`."""
        return np.array(
            [
                self._log_prob(
                    ids[row, : lengths[row]],
                    int(actions[row]),
                    None if allowed is None else allowed[row],
                    temperature,
                )
                for row in range(len(ids))
            ],
            dtype=np.float64,
        )

    def sequence_log_probs(
        self,
        sequences: Sequence[ResponseSequence],
        temperature: float = 1.0,
        allowed_of: AllowedOf | None = None,
    ) -> list[np.ndarray]:
        """See `Reference.sequence_log_probs`."""
        results = []
        for sequence in sequences:
            positions = sequence.action_positions
            actions = self._index.actions_of(sequence.ids[positions])
            allowed = None if allowed_of is None else allowed_of(sequence)
            values = [
                self._log_prob(
                    sequence.ids[:position],
                    int(action),
                    None if allowed is None else allowed[k],
                    temperature,
                )
                for k, (position, action) in enumerate(zip(positions, actions, strict=True))
            ]
            results.append(np.array(values, dtype=np.float64))
        return results

    def _log_prob(
        self, state: np.ndarray, action: int, allowed: np.ndarray | None, temperature: float
    ) -> float:
        logits = np.asarray(self._function(tuple(int(i) for i in state)), dtype=np.float64)
        logits = logits / temperature
        if allowed is not None:
            if not np.any(allowed):
                raise ValueError(f"no action is allowed in the state {state.tolist()!r}")
            logits = np.where(allowed, logits, -np.inf)
        top = logits.max()
        return float(logits[action] - top - np.log(np.exp(logits - top).sum()))
