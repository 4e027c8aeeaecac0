"""How far annotators agree with each other: the ceiling of what can be learned from them.

Shape letters: N items, A annotators. A vote is 1 (the first is better), 0 (the second), 0.5 (a
tie) or NaN (not asked).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from textgym.feedback.records import Comparison
from textgym.intervals import Estimate, mean_interval


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What several annotators say of the same pairs.

    Attributes:
        n_items: Pairs with at least two votes.
        agreement: Share of two annotators' votes that are the same, ties included; the mean over
            items, with an interval over them.
        decided: The same among votes that are both no tie; None where there are none.
        majority: Share of the time that an annotator who decides sides with the majority of the
            others, an even split counting half: what a model can hope for against one of them.
            None where nobody decides.
        alpha: Krippendorff's alpha for nominal votes: 1 for perfect, 0 for chance.
    """

    n_items: int
    agreement: Estimate
    decided: Estimate | None
    majority: Estimate | None
    alpha: float


def agreement(votes: np.ndarray) -> Agreement:
    """Measure (N, A) votes.

    Raises:
        ValueError: No item has two votes.
    """
    votes = np.asarray(votes, dtype=np.float64)
    voted = votes[(~np.isnan(votes)).sum(axis=1) >= 2]
    if not len(voted):
        raise ValueError(f"expected pairs with at least 2 votes, got none among {len(votes)}")
    rows = [row[~np.isnan(row)] for row in voted]
    same = [np.mean([a == b for a, b in combinations(row, 2)]) for row in rows]
    decided = [
        np.mean(found)
        for row in rows
        if (found := [a == b for a, b in combinations(row, 2) if a != 0.5 and b != 0.5])
    ]
    majority = [np.mean(found) for row in rows if (found := _with_majority(row))]
    return Agreement(
        n_items=len(rows),
        agreement=mean_interval(same),
        decided=mean_interval(decided) if decided else None,
        majority=mean_interval(majority) if majority else None,
        alpha=krippendorff_alpha(rows),
    )


def krippendorff_alpha(rows: Sequence[np.ndarray]) -> float:
    """Return Krippendorff's alpha, nominal, of items with at least two votes each.

    1 where all votes are of one category, since nobody disagrees.
    """
    categories = np.unique(np.concatenate(rows))
    counts = np.array([[(row == c).sum() for c in categories] for row in rows], dtype=np.float64)
    sizes = counts.sum(axis=1)
    observed = ((sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)).sum()
    totals = counts.sum(axis=0)
    expected = (totals.sum() ** 2 - (totals**2).sum()) / (totals.sum() - 1)
    return float(1.0 if expected == 0 else 1 - observed / expected)


def votes_of(records: Iterable[Comparison]) -> np.ndarray:
    """Return the (N, A) votes of comparisons of the same two texts by several annotators.

    Which side stood as chosen does not matter; a second vote of the same annotator replaces the
    first.
    """
    items: dict[tuple[str, str, str], dict[str, float]] = {}
    annotators: dict[str, int] = {}
    for record in records:
        chosen, rejected = record.chosen.text, record.rejected.text
        first, second = sorted((chosen, rejected))
        value = record.label if chosen == first else 1 - record.label
        annotators.setdefault(record.annotator.id, len(annotators))
        items.setdefault((record.prompt.text, first, second), {})[record.annotator.id] = value
    return _table(items.values(), annotators)


def _table(items: Iterable[Mapping[str, float]], annotators: Mapping[str, int]) -> np.ndarray:
    rows = list(items)
    votes = np.full((len(rows), len(annotators)), np.nan)
    for number, row in enumerate(rows):
        for name, value in row.items():
            votes[number, annotators[name]] = value
    return votes


def _with_majority(row: np.ndarray) -> list[float]:
    """For each annotator who decides: 1, 0.5 or 0 as the others side with the vote."""
    found = []
    for place, vote in enumerate(row):
        if vote != 0.5:
            lean = np.sign(np.delete(row, place) - 0.5).sum()
            found.append(float(0.5 * (1 + np.sign(lean) * np.sign(vote - 0.5))))
    return found
