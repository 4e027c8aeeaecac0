"""What a reward model is worth: on judged pairs, and on samples whose gold is known.

Shape letters: R judged pairs, P prompts, K samples of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from textgym.agents.evaluation.agreement import Agreement
from textgym.agents.evaluation.best_of_n import best_of_n_curve, kl_bound
from textgym.agents.evaluation.correlations import pearson, spearman
from textgym.agents.supervised.calibration import (
    ReliabilityBin,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    sigmoid,
)
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.agents.supervised.reward_measures import (
    RewardMeasures,
    reward_measures,
    share_in_agreement,
)
from textgym.intervals import Estimate, bootstrap_interval, mean_interval

LONGER, SHORTER = "preferred is longer", "preferred is shorter"


@dataclass(frozen=True, kw_only=True)
class TieReport:
    """Ties on either side.

    Attributes:
        judged: Pairs that were judged equal; no accuracy counts them.
        scored: Decided pairs that the model scores equal; each counts half in accuracies.
        gap_judged_equal: Mean absolute difference of raw scores on pairs judged equal; None
            without any. A model that knows ties has a smaller one there.
        gap_decided: The same on decided pairs.
        log_loss: Over all pairs, a tie's target being 0.5; nats.
    """

    judged: int
    scored: int
    gap_judged_equal: Estimate | None
    gap_decided: Estimate
    log_loss: Estimate


@dataclass(frozen=True, kw_only=True)
class TemperatureReport:
    """What dividing the score differences by one number would mend.

    Attributes:
        temperature: Fitted to all pairs; above 1 for a model that is too sure.
        log_loss: On each half of the pairs, with the temperature fitted to the other half.
        brier: Likewise, over decided pairs.
        calibration_error: Likewise.
        reliability: Likewise.
    """

    temperature: float
    log_loss: Estimate
    brier: Estimate
    calibration_error: float
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, kw_only=True)
class PairReport:
    """A reward model on judged pairs.

    Attributes:
        measures: Accuracy, by margin too, log loss, Brier score, calibration error, "pick the
            longer", and against the gold where it is known.
        ties: Ties on either side.
        subsets: Name to accuracy: by whether the preferred response is the longer one, and the
            data's own subsets.
        worst_subset: Name of the lowest accuracy among these.
        reliability: Bins of confidence, as the model stands.
        temperature: After one.
        length_correlation: Of the score difference with the difference of lengths in characters.
    """

    measures: RewardMeasures
    ties: TieReport
    subsets: dict[str, Estimate]
    worst_subset: str
    reliability: tuple[ReliabilityBin, ...]
    temperature: TemperatureReport
    length_correlation: Estimate


@dataclass(frozen=True, kw_only=True)
class BestOfN:
    """What the best of n samples is worth, by the unbiased estimator over all subsets.

    Attributes:
        n: Samples chosen among.
        kl: log n - (n - 1) / n, nats; an upper bound where scores tie.
        score: Mean score of the one that scores best, at each n.
        gold: Its mean gold.
        best_gold: Mean gold of the one with the best gold: what a perfect model would reach.
    """

    n: tuple[int, ...]
    kl: tuple[float, ...]
    score: tuple[Estimate, ...]
    gold: tuple[Estimate, ...]
    best_gold: tuple[Estimate, ...]


@dataclass(frozen=True, kw_only=True)
class SampleReport:
    """A reward model on samples whose gold is known; intervals over prompts.

    Attributes:
        correlation: Pearson's, of score and gold over all samples.
        rank_correlation: Spearman's.
        within_prompts: Mean over prompts of Spearman's among the samples of one prompt.
        length_correlation: Of score and length in tokens.
        gold_length_correlation: Of gold and length: how much of the former is right.
        best_of_n: Curves.
    """

    correlation: Estimate
    rank_correlation: Estimate
    within_prompts: Estimate
    length_correlation: Estimate
    gold_length_correlation: Estimate
    best_of_n: BestOfN


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """How far those who judged agree: what no model can pass by much.

    Attributes:
        with_gold: Share of judgements that the gold agrees with; None where it is not known.
        with_itself: Share of pairs that a simulated teacher judges alike when asked again; None
            for people.
        among: Agreement among several annotators; None for one.
    """

    with_gold: Estimate | None = None
    with_itself: Estimate | None = None
    among: Agreement | None = None


@dataclass(frozen=True, kw_only=True)
class RewardReport:
    """All of it, for one reward model.

    Attributes:
        model: Folder or hub name.
        pairs: On judged pairs.
        samples: On samples with gold; None where there are none.
        ceiling: Agreement of those who judged; None where only one person judged, once.
    """

    model: str
    pairs: PairReport
    samples: SampleReport | None = None
    ceiling: Ceiling | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return asdict(self)


def pair_report(
    pairs: Sequence[PreferencePair], differences: np.ndarray, *, seed: int = 0
) -> PairReport:
    """Measure raw score differences, chosen minus rejected, against judgements.

    Args:
        pairs: R pairs, ties among them; at least two decided ones.
        differences: (R,) in the unit in which a sigmoid gives the model's own probability.
        seed: Draws the halves of the temperature's fit, and the bootstrap.

    Raises:
        ValueError: Fewer than two decided pairs.
    """
    raw = np.asarray(differences, dtype=np.float64)
    is_tie = np.array([pair.is_tie for pair in pairs], dtype=bool)
    decided = raw[~is_tie]
    if len(decided) < 2:
        raise ValueError(f"expected at least 2 decided pairs, got {len(decided)}")
    lengths = np.array([len(p.chosen) - len(p.rejected) for p in pairs], dtype=np.float64)
    subsets = _subsets(pairs, raw, is_tie, lengths)
    return PairReport(
        measures=reward_measures(pairs, raw),
        ties=_ties(raw, is_tie),
        subsets=subsets,
        worst_subset=min(subsets, key=lambda name: subsets[name].mean) if subsets else "",
        reliability=reliability_bins(sigmoid(decided)),
        temperature=_temperature(raw, is_tie, seed),
        length_correlation=bootstrap_interval((raw, lengths), pearson, seed=seed),
    )


def sample_report(
    scores: np.ndarray, golds: np.ndarray, lengths: np.ndarray, *, seed: int = 0
) -> SampleReport:
    """Measure scores of samples.

    Args:
        scores: (P, K), K at least 2.
        golds: (P, K).
        lengths: (P, K) tokens.
        seed: Of the bootstrap over prompts.
    """
    within = [spearman(s, g) for s, g in zip(scores, golds, strict=True)]

    def over_prompts(statistic: Callable[..., float], *arrays: np.ndarray) -> Estimate:
        def of_rows(rows: np.ndarray) -> float:
            chosen = rows.astype(np.int64)
            return statistic(*(array[chosen].ravel() for array in arrays))

        return bootstrap_interval((np.arange(len(scores)),), of_rows, seed=seed)

    return SampleReport(
        correlation=over_prompts(pearson, scores, golds),
        rank_correlation=over_prompts(spearman, scores, golds),
        within_prompts=mean_interval(within),
        length_correlation=over_prompts(pearson, scores, lengths),
        gold_length_correlation=over_prompts(pearson, golds, lengths),
        best_of_n=_best_of_n(scores, golds),
    )


def _ties(raw: np.ndarray, is_tie: np.ndarray) -> TieReport:
    gaps = np.abs(raw)
    losses = np.where(
        is_tie, 0.5 * (np.logaddexp(0, raw) + np.logaddexp(0, -raw)), np.logaddexp(0, -raw)
    )
    return TieReport(
        judged=int(is_tie.sum()),
        scored=int((raw[~is_tie] == 0).sum()),
        gap_judged_equal=mean_interval(gaps[is_tie]) if is_tie.any() else None,
        gap_decided=mean_interval(gaps[~is_tie]),
        log_loss=mean_interval(losses),
    )


def _subsets(
    pairs: Sequence[PreferencePair], raw: np.ndarray, is_tie: np.ndarray, lengths: np.ndarray
) -> dict[str, Estimate]:
    names = np.array([pair.subset for pair in pairs])
    masks = {LONGER: lengths > 0, SHORTER: lengths < 0}
    masks |= {str(name): names == name for name in np.unique(names) if name}
    return {
        name: share_in_agreement(raw[mask & ~is_tie])
        for name, mask in masks.items()
        if (mask & ~is_tie).any()
    }


def _temperature(raw: np.ndarray, is_tie: np.ndarray, seed: int) -> TemperatureReport:
    targets = np.where(is_tie, 0.5, 1.0)
    order = np.random.default_rng(seed).permutation(len(raw))
    scaled = np.zeros(len(raw))
    halves = np.array_split(order, 2)
    for fitted, judged in (halves, halves[::-1]):
        scaled[judged] = raw[judged] / fit_temperature(raw[fitted], targets[fitted])
    probability = sigmoid(scaled[~is_tie])
    return TemperatureReport(
        temperature=fit_temperature(raw, targets),
        log_loss=mean_interval(np.logaddexp(0, -scaled[~is_tie])),
        brier=mean_interval((1 - probability) ** 2),
        calibration_error=expected_calibration_error(probability),
        reliability=reliability_bins(probability),
    )


def _best_of_n(scores: np.ndarray, golds: np.ndarray) -> BestOfN:
    largest = scores.shape[1]
    ns = tuple(sorted({*(2**i for i in range(largest.bit_length())), largest}))
    return BestOfN(
        n=ns,
        kl=tuple(kl_bound(n) for n in ns),
        score=best_of_n_curve(scores, scores, ns),
        gold=best_of_n_curve(scores, golds, ns),
        best_gold=best_of_n_curve(golds, golds, ns),
    )
