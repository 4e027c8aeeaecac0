"""A simulated, fallible labeller: Bradley-Terry choices on a gold utility, with mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class FallibleTeacher:
    """Prefers the better of two responses, the more surely the wider the gap.

    Attributes:
        temperature: Gap, in standard deviations of the gold utility, at which the better response
            is preferred with probability sigmoid(1) = .73; above 0. Lower is more rational.
        mistake_rate: Share of judgements made by tossing a coin, in [0, 1].
    """

    temperature: float = 0.25
    mistake_rate: float = 0.02

    def __post_init__(self) -> None:
        """Reject what is no temperature or share."""
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature!r}")
        if not 0 <= self.mistake_rate <= 1:
            raise ValueError(f"mistake_rate must lie in [0, 1], got {self.mistake_rate!r}")

    def probability(self, gap: np.ndarray, gold_std: float) -> np.ndarray:
        """Probability that the first response is preferred, (R,).

        Args:
            gap: (R,) gold utility of the first response minus that of the second.
            gold_std: Standard deviation of the gold utility over responses, above 0.

        Raises:
            ValueError: A standard deviation of 0 or less.
        """
        if not gold_std > 0:
            raise ValueError(f"gold_std must be above 0, got {gold_std!r}")
        logits = np.asarray(gap, dtype=np.float64) / (self.temperature * gold_std)
        rational = (1 + np.tanh(logits / 2)) / 2  # the sigmoid, without overflow
        return (1 - self.mistake_rate) * rational + self.mistake_rate / 2

    def prefers_first(
        self, gap: np.ndarray, gold_std: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw judgements, (R,) bool; see `probability`."""
        return rng.random(len(gap)) < self.probability(gap, gold_std)
