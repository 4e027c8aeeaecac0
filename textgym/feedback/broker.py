"""Between those who ask for feedback and those who give it: `submit` now, `poll` whenever.

Asking is apart from receiving, so an answer may come at once, some rounds later, in any order or
never. What comes is checked against what was asked, written to the store, paid for, and only then
handed over.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from textgym.feedback.broker_results import Received, Submission
from textgym.feedback.checks import check_integer
from textgym.feedback.open_queries import ERASED, OpenQueries, Rejection
from textgym.feedback.prices import Budget, Prices
from textgym.feedback.queries import Query, Teacher
from textgym.feedback.record_json import record_from_json, record_to_json
from textgym.feedback.records import FeedbackRecord, Skipped
from textgym.feedback.store import FeedbackStore

STATE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class BrokerConfig:
    """How a broker asks.

    Attributes:
        budget: What the labels may cost in all; None for no limit.
        answer_within: Rounds that an answer may take: 0 expects it in the round of asking. A
            question that stays open longer expires: its money is free again, and an answer that
            comes all the same is late. None waits for ever.
        answers_per_query: How many different annotators are to answer each question, for a
            teacher that is several people.
        remembered: Of the answered and of the expired questions, how many are remembered, the
            newest: an answer to an older one is rejected as "never asked". It bounds what a long
            run holds in memory and in its state.
    """

    budget: float | None = None
    answer_within: int | None = None
    answers_per_query: int = 1
    remembered: int = 10_000

    def __post_init__(self) -> None:
        """Check the counts; the budget is checked against the prices."""
        check_integer("answer_within", self.answer_within)
        check_integer("answers_per_query", self.answers_per_query, least=1)
        check_integer("remembered", self.remembered)


class FeedbackBroker:
    """Asks one teacher (which may be many people), checks, stores, pays and hands over.

    Attributes:
        store: Where answers go.
        prices: What they cost.
        budget: What they are paid from.
        round_index: The round of asking, from 0; `next_round` counts it up.
        counts: Totals by outcome: "asked", "unaffordable", "answered", "corrected", "skipped",
            "late", "expired", "repeated" (the same record handed over again), and
            `open_queries.REASONS` for the rejected ones.
    """

    def __init__(
        self,
        teacher: Teacher,
        store: FeedbackStore,
        config: BrokerConfig | None = None,
        *,
        prices: Prices | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a broker in round 0 with nothing open.

        Args:
            teacher: Answers.
            store: Keeps the answers.
            config: How to ask.
            prices: What an answer costs; 1 for each by default.
            clock: Seconds since 1970 UTC: when a question was asked, and when an answer was
                received if its teacher does not say when it was given.

        Raises:
            ValueError: The budget cannot buy one label.
        """
        self._config = config or BrokerConfig()
        self._teacher, self.store, self._clock = teacher, store, clock
        self.prices = prices or Prices()
        self.budget = Budget(self._config.budget, self.prices)
        self.round_index = 0
        self.counts: Counter[str] = Counter()
        self._open = OpenQueries(
            self.prices, self.budget, self._config.answers_per_query, self._config.remembered
        )
        self._waiting: list[Query] = []
        self._unstored: list[FeedbackRecord] = []

    @property
    def num_open(self) -> int:
        """Questions that are not answered and have not expired."""
        return len(self._open)

    def submit(self, queries: Sequence[Query]) -> Submission:
        """Ask; nothing is answered before the next `poll`.

        The questions are taken in their order, each that the budget still pays for.

        Raises:
            ValueError: A query id that was asked before; none of the queries is asked then.
        """
        self._check_new(queries)
        now = self._clock()
        asked: list[Query] = []
        unaffordable: list[Query] = []
        for query in queries:
            stamped = replace(query, round_index=self.round_index, asked_at=now)
            if self._open.add(stamped):
                asked.append(stamped)
            else:
                unaffordable.append(query)
        self._waiting += asked
        self.counts.update(asked=len(asked), unaffordable=len(unaffordable))
        return Submission(asked=tuple(asked), unaffordable=tuple(unaffordable))

    def poll(self) -> Received:
        """Hand waiting questions to the teacher, and take in what has become ready.

        Raises:
            StoreError: The answers could not be stored. They are kept, and the next poll writes
                them.
        """
        expired: tuple[Query, ...] = ()
        if self._config.answer_within is not None:
            expired = self._open.expire(self.round_index - self._config.answer_within)
        self.counts.update(expired=len(expired))
        answers = self._teacher.answer(tuple(self._waiting), round_index=self.round_index)
        self._waiting = []
        self._unstored += answers
        received = self._receive(self._unstored)
        self._unstored = []
        return replace(received, expired=expired)

    def ask(self, queries: Sequence[Query]) -> Received:
        """Submit and poll once: all that a teacher needs who answers at once."""
        self.submit(queries)
        return self.poll()

    def next_round(self) -> int:
        """Begin the next round of asking and return its number."""
        self.round_index += 1
        return self.round_index

    def give_up(self, before_round: int) -> tuple[Query, ...]:
        """Forget the open questions of rounds before this one, where nobody will answer any more.

        Their money is free again, and they count as "expired". An answer that comes all the same
        is rejected as "never asked"; `BrokerConfig.answer_within` takes it in as late instead.
        """
        given_up = self._open.give_up(before_round)
        left = {query.query_id for query in given_up}
        self._waiting = [query for query in self._waiting if query.query_id not in left]
        self.counts.update(expired=len(given_up))
        return given_up

    def recover(self, after: int) -> Received:
        """Take from the store the answers to open questions that lie behind the cursor `after`.

        For people, who answer once: what was stored after the state was saved that
        `load_state_dict` brought back. A simulated teacher whose state came back too gives the
        same answers again, and the store takes them once: there is nothing to recover.
        """
        return self._receive(
            [s.record for s in self.store.iterate(after) if s.record.query_id in self._open]
        )

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed run needs, the teacher's state included; JSON values only."""
        return {
            "version": STATE_VERSION,
            "store_id": self.store.store_id,
            "round_index": self.round_index,
            "budget": self.budget.state_dict(),
            "counts": dict(self.counts),
            "queries": self._open.state_dict(),
            "waiting": [query.query_id for query in self._waiting],
            "unstored": [record_to_json(record) for record in self._unstored],
            "teacher": self._teacher.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Raises:
            ValueError: A state of another version, or of a broker with another store.
        """
        if state.get("version") != STATE_VERSION:
            raise ValueError(
                f"the broker's state must be of version {STATE_VERSION}, got "
                f"{state.get('version')!r}"
            )
        if state["store_id"] != self.store.store_id:
            raise ValueError(
                f"the broker's state was saved with the store {state['store_id']!r}, but this one "
                f"is {self.store.store_id!r}"
            )
        self.round_index = int(state["round_index"])
        self.budget.load_state_dict(state["budget"])
        self.counts = Counter(state["counts"])
        self._open.load_state_dict(state["queries"])
        self._waiting = [self._open[query_id].query for query_id in state["waiting"]]
        self._unstored = [record_from_json(data) for data in state["unstored"]]
        self._teacher.load_state_dict(state["teacher"])

    def _check_new(self, queries: Sequence[Query]) -> None:
        for query_id, number in Counter(query.query_id for query in queries).items():
            if number > 1 or self._open.was_asked(query_id):
                raise ValueError(
                    f"query {query_id!r} was asked before; ask it again under a new query_id"
                )

    def _receive(self, answers: Sequence[FeedbackRecord]) -> Received:
        """Sort the answers, store what fits, then pay for it."""
        news, rejected = self._news(answers)
        corrections = self._corrections(news)
        others = [record for record in news if record.record_id not in corrections]
        judged = self._open.judge(others)
        self.store.append([*corrections.values(), *(record for record, _ in judged.accepted)])
        self._open.settle(judged)
        in_time = [record for record, item in judged.accepted if not item.is_expired]
        received = Received(
            records=(
                *corrections.values(),
                *(record for record in in_time if not isinstance(record, Skipped)),
            ),
            skipped=tuple(record for record in in_time if isinstance(record, Skipped)),
            late=tuple(record for record, item in judged.accepted if item.is_expired),
            rejected=(*rejected, *judged.rejected),
        )
        self._count(received, len(corrections))
        return received

    def _news(
        self, answers: Sequence[FeedbackRecord]
    ) -> tuple[list[FeedbackRecord], list[Rejection]]:
        """Leave out what was handed over before; what was erased stays so.

        A record that is stored but whose question is open was handed over in a life of this run
        that ended before its state was saved: it counts anew, with the content first stored.
        A resumed run that asks under the same ids is so led along the same answers.
        """
        known = self.store.find([record.record_id for record in answers])
        news: dict[str, FeedbackRecord] = {}
        rejected: list[Rejection] = []
        repeated = 0
        for record in answers:
            stored = known.get(record.record_id, record)
            if stored is None:
                rejected.append(Rejection(record=record, reason=ERASED))
            elif record.record_id in news or (stored is not record and not self._awaits(record)):
                repeated += 1
            else:
                news[record.record_id] = self._stamped(record) if stored is record else stored
        self.counts.update(repeated=repeated)
        return list(news.values()), rejected

    def _awaits(self, record: FeedbackRecord) -> bool:
        query_id = record.query_id or ""
        if query_id not in self._open:
            return False
        return record.annotator.id not in self._open[query_id].answered_by

    def _stamped(self, record: FeedbackRecord) -> FeedbackRecord:
        """Say when and in which round it was received: together with its own, its staleness."""
        answered_at = record.answered_at
        if answered_at is None:
            answered_at = max(self._clock(), record.asked_at or 0.0)
        details = {**record.details, "received_round": self.round_index}
        return replace(record, answered_at=answered_at, details=details)

    def _corrections(self, records: Sequence[FeedbackRecord]) -> dict[str, FeedbackRecord]:
        """Those that correct an answer of the same annotator to the same query, by id."""
        named = [record.revises for record in records if record.revises]
        earlier_ones = {record.record_id: record for record in records} | self.store.find(named)
        found = {}
        for record in records:
            earlier = earlier_ones.get(record.revises or "")
            if earlier is not None and _speaks_for(record, earlier):
                found[record.record_id] = record
        return found

    def _count(self, received: Received, corrected: int) -> None:
        self.counts.update(
            answered=len(received.records) - corrected,
            corrected=corrected,
            skipped=len(received.skipped),
            late=len(received.late),
        )
        self.counts.update(item.reason for item in received.rejected)


def _speaks_for(record: FeedbackRecord, earlier: FeedbackRecord) -> bool:
    return record.query_id == earlier.query_id and record.annotator == earlier.annotator
