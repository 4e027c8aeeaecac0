"""How the rewards of an ensemble's members become one reward. Letters: M members, R samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RULES = ("mean", "minimum", "mean-variance")


@dataclass(frozen=True, kw_only=True)
class EnsembleRule:
    """How the members' rewards become one.

    Attributes:
        rule: "mean", "minimum", or "mean-variance": the mean minus `variance_weight` times the
            variance over the members.
        variance_weight: At least 0.
    """

    rule: str = "mean"
    variance_weight: float = 1.0

    def __post_init__(self) -> None:
        """Reject an unknown rule and a negative weight."""
        if self.rule not in RULES:
            raise ValueError(f"rule must be one of {RULES}, got {self.rule!r}")
        if not 0 <= self.variance_weight < float("inf"):
            raise ValueError(
                f"variance_weight must be a finite number >= 0, got {self.variance_weight!r}"
            )

    def combine(self, rewards: np.ndarray) -> np.ndarray:
        """Return one reward for each sample.

        Args:
            rewards: (M, R) of normalised members.

        Returns:
            (R,).
        """
        if rewards.ndim != 2 or not len(rewards):
            raise ValueError(f"rewards must be (members, samples), got shape {rewards.shape}")
        if self.rule == "minimum":
            return rewards.min(axis=0)
        mean = rewards.mean(axis=0)
        if self.rule == "mean":
            return mean
        return mean - self.variance_weight * rewards.var(axis=0)
