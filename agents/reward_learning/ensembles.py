"""Several reward models as one: normalised each on the same reference samples, then combined.

Members differ by an arbitrary scale, and most by an arbitrary offset too: before the normalisation
neither their minimum nor their variance means anything. Shape letters: M members, R samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RULES = ("mean", "minimum", "mean-variance")


@dataclass(frozen=True, kw_only=True)
class EnsembleRule:
    """How the members' rewards become one.

    Attributes:
        rule: One of `RULES`; "mean-variance" is the mean minus `variance_weight` times the
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


def normalisation(scores: np.ndarray) -> tuple[float, float]:
    """Gain and bias with which `gain * score + bias` has mean 0 and standard deviation 1.

    Raises:
        ValueError: Fewer than two scores, or all the same.
    """
    spread = float(np.std(scores, dtype=np.float64)) if len(scores) > 1 else 0.0
    if spread < 1e-12:
        raise ValueError(f"expected scores that differ, got {len(scores)} with spread {spread!r}")
    return 1 / spread, -float(np.mean(scores, dtype=np.float64)) / spread


def member_normalisation(rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain and bias of each member from its rewards for the same reference samples.

    Args:
        rewards: (M, R), R at least 2.

    Returns:
        (M,) gains and (M,) biases, float64.

    Raises:
        ValueError: A member that gives all samples the same.
    """
    pairs = [normalisation(row) for row in rewards]
    return np.array([gain for gain, _ in pairs]), np.array([bias for _, bias in pairs])


def member_scales(rewards: np.ndarray) -> np.ndarray:
    """Gain of each member that makes its root mean square 1 and leaves its zero where it is.

    Args:
        rewards: (M, R), R at least 1.

    Returns:
        (M,) float64.

    Raises:
        ValueError: A member that gives 0 to all samples.
    """
    sizes = np.sqrt(np.square(rewards, dtype=np.float64).mean(axis=1))
    for size in sizes[~(sizes > 1e-12)]:
        raise ValueError(f"expected rewards that are not all 0, got root mean square {size!r}")
    return 1 / sizes
