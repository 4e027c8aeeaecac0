"""How good a reward model is: accuracy, accuracy by margin, calibration, the trivial baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from textgym.agents.supervised.calibration import expected_calibration_error, sigmoid
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.intervals import Estimate, mean_interval, wilson_interval


@dataclass(frozen=True, kw_only=True)
class MarginBin:
    """Accuracy over the pairs whose absolute margin lies in (low, high]."""

    low: float
    high: float
    accuracy: Estimate


@dataclass(frozen=True, kw_only=True)
class RewardMeasures:
    """Numbers on held-out comparisons; a tie of the scores counts half.

    Attributes:
        accuracy: Share of the judgements that the scores agree with.
        longer_accuracy: The same for "the longer response (in characters) is better".
        gold_accuracy: Agreement with the noise-free utility, exact gold ties left out; None where
            no pair has a gold margin.
        longer_gold_accuracy: The same for the longer response.
        label_accuracy: Agreement of the judgements themselves with the noise-free utility.
        n_gold_ties: Pairs left out of the gold accuracies.
        by_margin: Gold accuracy (accuracy, where there is no gold) by absolute margin, in four
            bins of equal count; empty where no pair has a margin.
        log_loss: Mean of -log sigmoid(difference of raw scores), nats.
        brier: Mean squared error of the probability given to the judgement.
        calibration_error: Expected calibration error over ten bins of confidence.
    """

    accuracy: Estimate
    longer_accuracy: Estimate
    gold_accuracy: Estimate | None
    longer_gold_accuracy: Estimate | None
    label_accuracy: Estimate | None
    n_gold_ties: int
    by_margin: tuple[MarginBin, ...]
    log_loss: Estimate
    brier: Estimate
    calibration_error: float

    def as_dict(self) -> dict[str, object]:
        """Return plain values for a JSON file."""
        return asdict(self)


def reward_measures(pairs: Sequence[PreferencePair], differences: np.ndarray) -> RewardMeasures:
    """Measure raw score differences (chosen minus rejected) against the judgements.

    Args:
        pairs: R comparisons, at least one; ties are left out.
        differences: (R,) before the normalising gain, so that the sigmoid is the model's own
            probability.

    Raises:
        ValueError: No comparison that is not a tie.
    """
    decided = np.array([not pair.is_tie for pair in pairs], dtype=bool)
    pairs = [pair for pair in pairs if not pair.is_tie]
    if not pairs:
        raise ValueError("expected at least one held-out comparison that is no tie, got 0")
    raw = np.asarray(differences, dtype=np.float64)[decided]
    longer = np.array([len(pair.chosen) - len(pair.rejected) for pair in pairs], dtype=np.float64)
    gold = np.array([_or_nan(pair.gold_margin) for pair in pairs])
    known = ~np.isnan(gold) & (gold != 0)
    probability = sigmoid(raw)
    return RewardMeasures(
        accuracy=share_in_agreement(raw),
        longer_accuracy=share_in_agreement(longer),
        gold_accuracy=share_in_agreement(raw[known] * gold[known]) if known.any() else None,
        longer_gold_accuracy=share_in_agreement(longer[known] * gold[known])
        if known.any()
        else None,
        label_accuracy=share_in_agreement(gold[known]) if known.any() else None,
        n_gold_ties=int((gold == 0).sum()),
        by_margin=_by_margin(pairs, raw, gold, known),
        log_loss=mean_interval(np.logaddexp(0, -raw)),
        brier=mean_interval((1 - probability) ** 2),
        calibration_error=expected_calibration_error(probability),
    )


def share_in_agreement(agreement: np.ndarray) -> Estimate:
    """Share of positive numbers among (R,), a zero counting half, with its interval."""
    wins = float((agreement > 0).sum() + 0.5 * (agreement == 0).sum())
    return wilson_interval(wins, len(agreement))


def _by_margin(
    pairs: Sequence[PreferencePair], raw: np.ndarray, gold: np.ndarray, known: np.ndarray
) -> tuple[MarginBin, ...]:
    margins, agreement = np.abs(gold[known]), raw[known] * np.sign(gold[known])
    if not known.any():
        stated = np.array([_or_nan(pair.margin) for pair in pairs])
        rows = ~np.isnan(stated)
        margins, agreement = np.abs(stated[rows]), raw[rows]
    if margins.size < 8:
        return ()
    edges = np.unique(np.quantile(margins, [0.0, 0.25, 0.5, 0.75, 1.0]))
    bins = np.clip(np.searchsorted(edges, margins, side="left") - 1, 0, max(0, len(edges) - 2))
    found = []
    for number in np.unique(bins):
        inside = bins == number
        low, high = float(margins[inside].min()), float(margins[inside].max())
        found.append(MarginBin(low=low, high=high, accuracy=share_in_agreement(agreement[inside])))
    return tuple(found)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
