"""Records of feedback as arrays that a loss can read.

Knows nothing of what the items are made of, so that text and trajectories share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from textgym.agents.reward_learning.losses import KINDS
from textgym.feedback.records import (
    Comparison,
    FeedbackRecord,
    LanguageFeedback,
    Ranking,
    Score,
)
from textgym.feedback.responses import Response, Span

Critic = Callable[[Sequence[LanguageFeedback]], np.ndarray]
"""Reads words: R records to (R,) numbers in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a label is about.

    Attributes:
        response: The response.
        span: The part of it; None for the whole.
    """

    response: Response
    span: Span | None = None


@dataclass(frozen=True, kw_only=True)
class KindLabels:
    """All labels of one kind.

    Attributes:
        rows: (R, 2) int64 for comparisons, chosen before rejected, else (R, 1): indices of items.
        targets: (R,) float64 in [0, 1]: the score, the critic's number, or how far the chosen one
            is preferred (1, or 0.5 for a tie).
        weights: (R,) float64 above 0: a comparison's strength, else 1.
    """

    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        """Reject targets outside [0, 1] (NaN is) and weights that are not above 0."""
        for value in self.targets[~((self.targets >= 0) & (self.targets <= 1))]:
            raise ValueError(f"a label must be a number in [0, 1], got {float(value)!r}")
        for value in self.weights[~((self.weights > 0) & np.isfinite(self.weights))]:
            raise ValueError(f"a label's weight must be finite and above 0, got {float(value)!r}")
        if not len(self.rows) == len(self.targets) == len(self.weights):
            raise ValueError(
                f"rows, targets and weights must be of one length, got {len(self.rows)}, "
                f"{len(self.targets)} and {len(self.weights)}"
            )

    def __len__(self) -> int:
        """How many there are."""
        return len(self.targets)

    @property
    def has_contrast(self) -> bool:
        """Whether they say of anything that it is better than something else."""
        if self.rows.shape[1] == 2:
            return bool((self.targets != 0.5).any())
        return bool(np.ptp(self.targets) > 0)

    def take(self, chosen: np.ndarray) -> KindLabels:
        """Return some of them."""
        return KindLabels(
            rows=self.rows[chosen], targets=self.targets[chosen], weights=self.weights[chosen]
        )


@dataclass(frozen=True, kw_only=True)
class RewardLabels:
    """Labels of all kinds over the items that they are about.

    Attributes:
        items: What was judged.
        kinds: Kind to its labels; a kind without any is absent.
    """

    items: tuple[Judged, ...]
    kinds: Mapping[str, KindLabels]

    @property
    def counts(self) -> dict[str, int]:
        """Kind to the number of its labels."""
        return {kind: len(labels) for kind, labels in self.kinds.items()}

    def __len__(self) -> int:
        """Labels of all kinds."""
        return sum(self.counts.values())

    @property
    def has_contrast(self) -> bool:
        """Whether they say of anything that it is better than something else."""
        return any(labels.has_contrast for labels in self.kinds.values())

    def check_trainable(self) -> None:
        """Reject what no reward can be learned from.

        Raises:
            ValueError: No label, or only ties and equal numbers.
        """
        if not len(self):
            raise ValueError("expected at least one label to learn a reward from, got 0")
        if not self.has_contrast:
            raise ValueError(
                "expected labels that tell better from worse, got a single class: every "
                f"comparison is a tie and the numbers of each kind are equal ({self.counts})"
            )

    def only(self, kinds: Sequence[str]) -> RewardLabels:
        """Return the labels of some kinds; the others cost nothing from here on."""
        kept = {kind: labels for kind, labels in self.kinds.items() if kind in kinds}
        return RewardLabels(items=self.items, kinds=kept)

    def split(
        self, held_out_fraction: float, generator: np.random.Generator
    ) -> tuple[RewardLabels, RewardLabels]:
        """Return labels to train on and labels held out, the same share of each kind."""
        if not 0 <= held_out_fraction < 1:
            raise ValueError(f"held_out_fraction must lie in [0, 1), got {held_out_fraction!r}")
        parts: tuple[dict[str, KindLabels], dict[str, KindLabels]] = ({}, {})
        for kind, labels in self.kinds.items():
            order = generator.permutation(len(labels))
            held = int(held_out_fraction * len(labels))
            for part, chosen in zip(parts, (order[held:], order[:held]), strict=True):
                if len(chosen):
                    part[kind] = labels.take(np.sort(chosen))
        train, held_out = (RewardLabels(items=self.items, kinds=part) for part in parts)
        return train, held_out


def label_shares(labels: KindLabels, members: int, generator: np.random.Generator) -> np.ndarray:
    """Share of each of R labels in its kind's loss, for each member: (M, R), sum 1 per member.

    In proportion to the labels' weights; with several members each sees the labels resampled.
    """
    times = np.ones((members, len(labels)))
    if members > 1 and len(labels) > 1:
        share = np.full(len(labels), 1 / len(labels))
        times = generator.multinomial(len(labels), share, size=members).astype(np.float64)
    weights = times * labels.weights
    return weights / weights.sum(axis=1, keepdims=True)


def labels_from_records(
    records: Sequence[FeedbackRecord], critic: Critic | None = None
) -> RewardLabels:
    """Read records: scores, comparisons, rankings (as comparisons) and words.

    Records that a later one corrects are left out; demonstrations, corrections and skips say
    nothing that these losses read.

    Args:
        records: Any records, in the order in which they were given.
        critic: Turns words into numbers; needed where there are any.

    Raises:
        ValueError: Words and no critic, or a critic's number outside [0, 1].
    """
    revised = {record.revises for record in records if record.revises}
    current = [record for record in records if record.record_id not in revised]
    rankings = [record for record in current if isinstance(record, Ranking)]
    comparisons = [record for record in current if isinstance(record, Comparison)]
    comparisons += [pair for ranking in rankings for pair in ranking.comparisons()]
    scores = [record for record in current if isinstance(record, Score)]
    words = [record for record in current if isinstance(record, LanguageFeedback)]
    items = _Items()
    kinds = {
        "score": _fractions(
            [items.row(r.response, _part(r)) for r in scores], [r.value for r in scores]
        ),
        "comparison": KindLabels(
            rows=np.array(
                [[items.row(side) for side in r.responses] for r in comparisons], dtype=np.int64
            ).reshape(-1, 2),
            targets=np.array([r.label for r in comparisons], dtype=np.float64),
            weights=np.array([r.strength or 1.0 for r in comparisons], dtype=np.float64),
        ),
        "language": _fractions(
            [items.row(r.response, r.span) for r in words], _read_words(words, critic)
        ),
    }
    present = {kind: kinds[kind] for kind in KINDS if len(kinds[kind])}
    return RewardLabels(items=tuple(items.found), kinds=present)


class _Items:
    """The distinct things judged, in order; the same object and part is one item."""

    def __init__(self) -> None:
        self.found: list[Judged] = []
        self._rows: dict[tuple[int, Span | None], int] = {}

    def row(self, response: Response, span: Span | None = None) -> int:
        key = (id(response), span)
        if key not in self._rows:
            self._rows[key] = len(self.found)
            self.found.append(Judged(response=response, span=span))
        return self._rows[key]


def _part(record: Score) -> Span | None:
    if record.action_index is None:
        return record.span
    return Span(start=record.action_index, end=record.action_index + 1)


def _fractions(rows: Sequence[int], values: Sequence[float] | np.ndarray) -> KindLabels:
    return KindLabels(
        rows=np.array(rows, dtype=np.int64).reshape(-1, 1),
        targets=np.array(values, dtype=np.float64),
        weights=np.ones(len(rows)),
    )


def _read_words(words: Sequence[LanguageFeedback], critic: Critic | None) -> np.ndarray:
    if not words:
        return np.zeros(0)
    if critic is None:
        raise ValueError(
            f"expected a critic that turns words into numbers, got None for {len(words)} records"
        )
    values = np.asarray(critic(words), dtype=np.float64)
    if values.shape != (len(words),):
        raise ValueError(
            f"a critic must return one number for each of {len(words)} records, got shape "
            f"{values.shape}"
        )
    return values
