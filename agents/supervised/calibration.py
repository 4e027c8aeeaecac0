"""Whether probabilities mean what they say: reliability, calibration error, a fitted temperature.

Shape letters: R comparisons. A probability is that of what was preferred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from textgym.intervals import Estimate, wilson_interval

NUM_BINS = 10
# As far as a temperature may go; beyond it a sigmoid is a step, or a constant.
_LOG_RANGE = (np.log(1e-3), np.log(1e3))
_HALVINGS = 60


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """The comparisons whose confidence, the larger of the two probabilities, lies in one bin.

    Attributes:
        confidence: Mean confidence.
        accuracy: Share on which the more likely one was preferred; a probability of 0.5 counts
            half.
    """

    confidence: float
    accuracy: Estimate


def reliability_bins(probability: np.ndarray) -> tuple[ReliabilityBin, ...]:
    """Sort comparisons into ten bins of confidence from 0.5 to 1; empty bins are left out.

    Args:
        probability: (R,) probability that the model gave to what was preferred, in [0, 1].
    """
    confidence = np.maximum(probability, 1 - probability)
    correct = np.where(probability == 0.5, 0.5, probability > 0.5)
    bins = np.minimum(((confidence - 0.5) * 2 * NUM_BINS).astype(int), NUM_BINS - 1)
    return tuple(
        ReliabilityBin(
            confidence=float(confidence[bins == b].mean()),
            accuracy=wilson_interval(float(correct[bins == b].sum()), int((bins == b).sum())),
        )
        for b in np.unique(bins)
    )


def expected_calibration_error(probability: np.ndarray) -> float:
    """Mean gap between confidence and accuracy over ten bins, weighted by their counts.

    Args:
        probability: (R,) as for `reliability_bins`.
    """
    gaps = [
        found.accuracy.count * abs(found.confidence - found.accuracy.mean)
        for found in reliability_bins(probability)
    ]
    return float(np.sum(gaps) / len(probability))


def fit_temperature(differences: np.ndarray, targets: np.ndarray) -> float:
    """Return the T with which sigmoid(differences / T) fits the targets best, by log loss.

    The loss is convex in 1 / T, so that its slope has one zero; found by bisection, within
    [0.001, 1000]. Where the order is right throughout (or no better than chance) it ends there.

    Args:
        differences: (R,) raw score of one side minus the other's, at least one.
        targets: (R,) in [0, 1], how far the one side was preferred: 1, 0, or 0.5 for a tie.
    """
    if not len(differences):
        raise ValueError("expected at least one comparison to fit a temperature to, got 0")
    low, high = _LOG_RANGE  # of log(1 / T)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        slope = np.mean((sigmoid(np.exp(middle) * differences) - targets) * differences)
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logistic function, without overflow."""
    return np.asarray((1 + np.tanh(np.asarray(x, dtype=np.float64) / 2)) / 2)
