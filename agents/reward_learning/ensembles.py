"""Several reward models as one: normalised each on the same reference samples, then combined.

Members differ by an arbitrary scale, and most by an arbitrary offset too: before the normalisation
neither their minimum nor their variance means anything. Shape letters: M members, R samples.
"""

from __future__ import annotations

import numpy as np

from textgym.rewards.ensemble_rule import RULES, EnsembleRule

__all__ = ["RULES", "EnsembleRule", "member_normalisation", "member_scales", "normalisation"]


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
