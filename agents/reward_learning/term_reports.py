"""What each term of the loss is worth on labels held out, apart from the others."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from textgym.agents.reward_learning.labels import KindLabels
from textgym.intervals import Estimate, mean_interval, wilson_interval


@dataclass(frozen=True, kw_only=True)
class TermReport:
    """One kind of feedback on labels held out.

    Attributes:
        loss: Mean loss of the kind's term, nats, with an interval of 95 %.
        knows_nothing: What a reward that tells nothing apart would get: log 2 for comparisons,
            for numbers the cross-entropy of always saying their mean.
        accuracy: Comparisons that are no tie: share on which the reward agrees, a tie of the
            reward counting half. None for numbers, and where all are ties.
        correlation: Numbers: Pearson's correlation of the reward with them. None for comparisons,
            and where either is constant.
        count: Labels held out.
    """

    loss: Estimate
    knows_nothing: float
    accuracy: Estimate | None
    correlation: float | None
    count: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return asdict(self)


def term_report(
    kind: str, losses: np.ndarray, rewards: np.ndarray, labels: KindLabels
) -> TermReport:
    """Report one kind.

    Args:
        kind: "score", "comparison" or "language".
        losses: (R,) nats.
        rewards: (R, 2) of chosen and rejected for comparisons, else (R, 1).
        labels: The R labels held out.
    """
    is_pair = kind == "comparison"
    return TermReport(
        loss=mean_interval(losses),
        knows_nothing=float(np.log(2)) if is_pair else _entropy(float(labels.targets.mean())),
        accuracy=_accuracy(rewards, labels.targets) if is_pair else None,
        correlation=None if is_pair else _correlation(rewards[:, 0], labels.targets),
        count=len(labels),
    )


def _accuracy(rewards: np.ndarray, targets: np.ndarray) -> Estimate | None:
    decided = targets != 0.5
    if not decided.any():
        return None
    gaps = (rewards[:, 0] - rewards[:, 1])[decided] * np.sign(targets[decided] - 0.5)
    wins = float((gaps > 0).sum() + 0.5 * (gaps == 0).sum())
    return wilson_interval(wins, int(decided.sum()))


def _correlation(rewards: np.ndarray, targets: np.ndarray) -> float | None:
    if len(targets) < 2 or np.ptp(rewards) == 0 or np.ptp(targets) == 0:
        return None
    return float(np.corrcoef(rewards, targets)[0, 1])


def _entropy(mean: float) -> float:
    shares = np.array([mean, 1 - mean])
    known = shares[shares > 0]
    return float(-(known * np.log(known)).sum())
