"""Hidden checks among the questions: gold ones, whose answer is known, and repeats.

Annotators cannot tell them from others. How often they agree with what is known, and with
themselves, bounds what a reward model can learn from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textgym.feedback.checks import check_fraction
from textgym.feedback.queries import Query
from textgym.feedback.record_json import (
    query_from_json,
    query_to_json,
    record_from_json,
    record_to_json,
)
from textgym.feedback.records import Comparison, FeedbackRecord, Ranking, Score
from textgym.feedback.responses import Response, Segment

CHECKED_KINDS = ("score", "comparison", "ranking")
REMEMBERED = 1000
"""Questions that a repeat is drawn from: the latest, so that a checkpoint stays small."""


@dataclass(frozen=True, kw_only=True)
class GoldQuestion:
    """A question whose right answer is known.

    Attributes:
        query: What to ask; each time under a new id.
        answer: The right answer, about the same responses.
    """

    query: Query
    answer: FeedbackRecord

    def __post_init__(self) -> None:
        """Reject kinds that cannot be compared, and an answer to something else."""
        if self.query.kind not in CHECKED_KINDS or self.answer.kind != self.query.kind:
            raise ValueError(
                f"a gold question must be of a kind in {CHECKED_KINDS} and its answer of the same, "
                f"got {self.query.kind!r} and {self.answer.kind!r}"
            )
        if any(response not in self.query.responses for response in self.answer.responses):
            raise ValueError("the answer to a gold question must be about the query's responses")


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How often two answers to one question agreed.

    Attributes:
        agreed: Number that did.
        compared: Number compared; skipped questions are not.
    """

    agreed: int
    compared: int

    @property
    def rate(self) -> float:
        """Share that agreed; NaN where nothing was compared."""
        return self.agreed / self.compared if self.compared else math.nan

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Return Wilson's interval of the rate, 95 % by default; (0, 1) where nothing is known."""
        if not self.compared:
            return 0.0, 1.0
        n, p = self.compared, self.rate
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)


class QualityChecks:
    """Mixes gold questions and repeats into what is asked, and compares the answers."""

    def __init__(
        self,
        generator: np.random.Generator,
        *,
        gold: Sequence[GoldQuestion] = (),
        gold_rate: float = 0.0,
        repeat_rate: float = 0.0,
        tolerance: float = 0.1,
    ) -> None:
        """Set the rates; 0.05 each is usual.

        Args:
            generator: Draws which questions are checks, and where they stand.
            gold: Questions with known answers, kept out of training.
            gold_rate: Gold questions mixed in for each question asked, in [0, 1].
            repeat_rate: Earlier questions asked again, in another order of the responses where
                there are several, for each question asked, in [0, 1].
            tolerance: Two scores agree when they differ by at most this, in [0, 1].

        Raises:
            ValueError: A rate outside [0, 1], or a gold rate without gold questions.
        """
        for name, value in (("gold_rate", gold_rate), ("repeat_rate", repeat_rate)):
            check_fraction(name, value)
        check_fraction("tolerance", tolerance)
        if gold_rate and not gold:
            raise ValueError(f"gold_rate {gold_rate!r} needs gold questions, got none")
        self._generator, self._gold = generator, tuple(gold)
        self._gold_rate, self._repeat_rate, self._tolerance = gold_rate, repeat_rate, tolerance
        self._past: dict[str, Query] = {}
        self._gold_asked: dict[str, int] = {}
        self._repeat_of: dict[str, str] = {}
        self._answers: dict[tuple[str, str], FeedbackRecord] = {}

    def mix(self, queries: Sequence[Query]) -> list[Query]:
        """Return the questions with checks at random places among them.

        Repeats are drawn from answered questions of earlier calls, the latest 1,000, each repeated
        at most once. The numbers of checks are the rates times the number of questions, rounded
        at random.
        """
        num_gold = self._how_many(len(queries), self._gold_rate)
        num_repeats = self._how_many(len(queries), self._repeat_rate)
        checks = [self._gold_question() for _ in range(num_gold)] + self._repeats(num_repeats)
        mixed = list(queries)
        for check in checks:
            mixed.insert(int(self._generator.integers(len(mixed) + 1)), check)
        self._remember(queries)
        return mixed

    def is_check(self, query_id: str | None) -> bool:
        """Whether the question was mixed in as a check."""
        return query_id in self._gold_asked or query_id in self._repeat_of

    def observe(self, records: Iterable[FeedbackRecord]) -> list[FeedbackRecord]:
        """Take note of answers; returns those that are no checks, for training."""
        others = []
        for record in records:
            is_check = self.is_check(record.query_id)
            is_comparable = record.kind in CHECKED_KINDS
            if is_comparable and (is_check or record.query_id in self._past):
                self._answers[str(record.query_id), record.annotator.id] = record
            if not is_check:
                others.append(record)
        return others

    def gold_agreement(self, annotator_id: str | None = None) -> Agreement:
        """Compare answers with what is known; of one annotator, or of all."""
        return self._compare(
            (given, self._gold[self._gold_asked[query_id]].answer)
            for (query_id, who), given in self._answers.items()
            if query_id in self._gold_asked and annotator_id in (None, who)
        )

    def self_agreement(self, annotator_id: str | None = None) -> Agreement:
        """Compare answers to repeats with the same annotator's first ones; of one, or of all."""
        return self._compare(
            (given, self._answers[self._repeat_of[query_id], who])
            for (query_id, who), given in self._answers.items()
            if annotator_id in (None, who)
            and query_id in self._repeat_of
            and (self._repeat_of[query_id], who) in self._answers
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs; JSON values only."""
        return {
            "generator": self._generator.bit_generator.state,
            "past": [query_to_json(query) for query in self._past.values()],
            "gold_asked": dict(self._gold_asked),
            "repeat_of": dict(self._repeat_of),
            "answers": [record_to_json(record) for record in self._answers.values()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._generator.bit_generator.state = state["generator"]
        past = [query_from_json(data) for data in state["past"]]
        self._past = {query.query_id: query for query in past}
        self._gold_asked = {query_id: int(i) for query_id, i in state["gold_asked"].items()}
        self._repeat_of = dict(state["repeat_of"])
        answers = [record_from_json(data) for data in state["answers"]]
        self._answers = {(str(r.query_id), r.annotator.id): r for r in answers}

    def _how_many(self, num_queries: int, rate: float) -> int:
        return math.floor(num_queries * rate + self._generator.random())

    def _gold_question(self) -> Query:
        index = int(self._generator.integers(len(self._gold)))
        query = self._shuffled(self._gold[index].query)
        self._gold_asked[query.query_id] = index
        return query

    def _repeats(self, count: int) -> list[Query]:
        answered = {query_id for query_id, _ in self._answers}
        waiting = sorted((set(self._past) & answered) - set(self._repeat_of.values()))
        repeats = []
        for place in self._generator.permutation(len(waiting))[:count]:
            first = self._past[waiting[int(place)]]
            query = self._shuffled(first)
            if len(first.responses) == 2:  # the other way round, to see who prefers a side
                query = replace(query, shown_order=first.shown_order[::-1])
            self._repeat_of[query.query_id] = first.query_id
            repeats.append(query)
        return repeats

    def _remember(self, queries: Sequence[Query]) -> None:
        self._past.update({q.query_id: q for q in queries if q.kind in CHECKED_KINDS})
        repeated = set(self._repeat_of.values())
        old = set(list(self._past)[:-REMEMBERED])
        self._past = {name: query for name, query in self._past.items() if name not in old}
        self._answers = {
            key: record
            for key, record in self._answers.items()
            if key[0] not in old or key[0] in repeated
        }

    def _shuffled(self, query: Query) -> Query:
        order = tuple(int(i) for i in self._generator.permutation(len(query.responses)))
        return replace(query, query_id=self._generator.bytes(16).hex(), shown_order=order)

    def _compare(self, pairs: Iterable[tuple[FeedbackRecord, FeedbackRecord]]) -> Agreement:
        agreed = [answers_agree(one, other, tolerance=self._tolerance) for one, other in pairs]
        return Agreement(agreed=sum(agreed), compared=len(agreed))


def answers_agree(one: FeedbackRecord, other: FeedbackRecord, *, tolerance: float = 0.1) -> bool:
    """Whether two answers to the same question say the same.

    Args:
        one: A score, a comparison or a ranking.
        other: One of the same kind.
        tolerance: Two scores agree when they differ by at most this.

    Raises:
        ValueError: Other kinds, or two kinds.
    """
    if isinstance(one, Score) and isinstance(other, Score):
        return abs(one.value - other.value) <= tolerance + 1e-9
    if isinstance(one, Ranking) and isinstance(other, Ranking):
        return _order(one.comparisons()) == _order(other.comparisons())
    if isinstance(one, Comparison) and isinstance(other, Comparison):
        return _order((one,)) == _order((other,))
    raise ValueError(
        f"answers can be compared that are of one kind in {CHECKED_KINDS}, got {one.kind!r} and "
        f"{other.kind!r}"
    )


Shown = tuple[str, tuple[int, ...], Segment | None]


def _order(pairs: Iterable[Comparison]) -> set[tuple[bool, Shown, Shown]]:
    """What is above what; of a tie, both ways round."""
    said = set()
    for pair in pairs:
        chosen, rejected = _shown(pair.chosen), _shown(pair.rejected)
        said.add((pair.is_tie, chosen, rejected))
        if pair.is_tie:
            said.add((True, rejected, chosen))
    return said


def _shown(response: Response) -> Shown:
    return response.text, response.token_ids, response.segment
