"""Weighted sums of rewards, each part visible as a term. Shape letter: N episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textgym.rewards.base import RewardFn
from textgym.types import Episode


class WeightedSum:
    """The sum of `weight * reward` over its parts.

    Attributes:
        parts: Pairs (weight, reward).
    """

    name = "sum"

    def __init__(self, parts: Sequence[tuple[float, RewardFn]]) -> None:
        """Keep the parts.

        Raises:
            ValueError: Two parts of the same name: their terms could not be told apart.
        """
        names = [reward.name for _, reward in parts]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"a sum must name each reward once, got {repeated[0]!r} twice")
        self.parts = tuple(parts)

    def terms(self, episodes: Sequence[Episode]) -> dict[str, np.ndarray]:
        """Return each part's share by name, (N,) float32; they sum to the scores."""
        return {
            reward.name: np.float32(weight) * np.asarray(reward(episodes), dtype=np.float32)
            for weight, reward in self.parts
        }

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        return np.stack(list(self.terms(episodes).values())).sum(axis=0, dtype=np.float32)
