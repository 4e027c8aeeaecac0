"""Rewards that are paid token by token, and how they make up a response's score.

Shape letters: N rows, L width of the ids, S sequences, T tokens of one response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from textgym.reference import ResponseSequence
from textgym.rewards.base import RewardFn
from textgym.rewards.composed import WeightedSum


class StepRewards(Protocol):
    """Rewards of the newest tokens of N growing sequences."""

    def rewards(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the reward of the token at `lengths - 1` of each row of ids (N, L), (N,)."""
        ...


@runtime_checkable
class TokenReward(Protocol):
    """A reward function whose score is made of a reward of every response token.

    Attributes:
        name: As a `RewardFn`'s.
        token_aggregate: "mean" or "sum": what of the tokens' rewards the score is; None where it
            is not made of them.
    """

    name: str
    token_aggregate: str | None

    def token_rewards(self, sequences: Sequence[ResponseSequence]) -> list[np.ndarray]:
        """Return the reward of each action of each sequence, S arrays (T,) float32.

        What an environment answered between them is read and earns nothing.

        A token's reward depends on what stands before it and on itself only.
        """
        ...

    def new_steps(self, num_rows: int, width: int) -> StepRewards:
        """Return what gives the same rewards step by step."""
        ...


def aggregated(rewards: np.ndarray, aggregate: str) -> float:
    """Return the mean or the sum of a response's token rewards (T,), T at least 1."""
    return float(np.mean(rewards) if aggregate == "mean" else np.sum(rewards))


def payments(rewards: np.ndarray, aggregate: str) -> np.ndarray:
    """Return what each token is paid, (T,) float64; their sum is `aggregated`.

    A sum pays each token its reward. A mean pays the change of the mean so far, so that no
    response gains by length alone.
    """
    values = np.asarray(rewards, dtype=np.float64)
    if aggregate == "sum":
        return values
    means = np.cumsum(values) / np.arange(1, len(values) + 1)
    return np.diff(means, prepend=0.0)


@dataclass(frozen=True, kw_only=True)
class TokenPart:
    """The part of an environment's reward that is paid token by token.

    Attributes:
        reward: The function.
        weight: What it counts in the sum.
        aggregate: "mean" or "sum".
    """

    reward: TokenReward
    weight: float
    aggregate: str

    @property
    def name(self) -> str:
        """Key of its share in `reward_terms`."""
        return self.reward.name

    def total(self, rewards: Sequence[float] | np.ndarray) -> float:
        """Return the share of the response's score that its token rewards (T,) make.

        Raises:
            ValueError: One of them is NaN or infinite.
        """
        array = self._checked(rewards)
        return self.weight * aggregated(array, self.aggregate)

    def payments(self, rewards: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return what each token is paid, (T,) float64.

        Raises:
            ValueError: One of the rewards is NaN or infinite.
        """
        return self.weight * payments(self._checked(rewards), self.aggregate)

    def payment(self, rewards: np.ndarray, earlier: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return what one token of each of R responses is paid, (R,) float64; see `payments`.

        Args:
            rewards: (R,) of the tokens.
            earlier: (R,) sums of the rewards of the tokens before them.
            counts: (R,) how many those are.

        Raises:
            ValueError: A reward that is NaN or infinite.
        """
        values = self._checked(rewards)
        if self.aggregate == "sum":
            return self.weight * values
        means = (earlier + values) / (counts + 1)
        return self.weight * (means - earlier / np.maximum(counts, 1))

    def paid_before_end(self, rewards: Sequence[float] | np.ndarray) -> float:
        """Return what all tokens but the last were paid."""
        return float(self.payments(rewards)[:-1].sum())

    def _checked(self, rewards: Sequence[float] | np.ndarray) -> np.ndarray:
        array = np.asarray(rewards, dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(array))
        if bad.size:
            raise ValueError(
                f"reward {self.name!r} gave {float(array[bad[0]])} for a token; expected a finite "
                "number"
            )
        return array


def split_off_tokens(reward: RewardFn) -> tuple[TokenPart, RewardFn | None]:
    """Return the part of a reward that can be paid token by token, and the rest, if any.

    Raises:
        ValueError: No part can.
    """
    weighted = reward.parts if isinstance(reward, WeightedSum) else ((1.0, reward),)
    found: TokenPart | None = None
    rest: list[tuple[float, RewardFn]] = []
    for weight, part in weighted:
        if isinstance(part, TokenReward) and part.token_aggregate is not None and found is None:
            found = TokenPart(reward=part, weight=weight, aggregate=part.token_aggregate)
        else:
            rest.append((weight, part))
    if found is None:
        raise ValueError(
            f"reward_level='token' needs a reward of every token, got {reward.name!r}: expected "
            "reward='model' with a reward model trained by `textgym reward --token-aggregate "
            "mean` (or sum), or token_aggregate='mean' (or 'sum') to read another one so"
        )
    return found, WeightedSum(rest) if rest else None
