"""The questions that may still be answered: what each is owed, and which answers fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from textgym.feedback.answers import answers_query
from textgym.feedback.prices import Budget, Prices
from textgym.feedback.queries import Query
from textgym.feedback.record_json import query_from_json, query_to_json
from textgym.feedback.records import FeedbackRecord, Skipped

NEVER_ASKED = "never asked"
ANSWERED_TWICE = "answered twice"
DIFFERENT_QUESTION = "answers a different question"
ERASED = "erased"
REASONS = (NEVER_ASKED, ANSWERED_TWICE, DIFFERENT_QUESTION, ERASED)


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """An answer that was neither stored nor paid for.

    Attributes:
        record: The answer.
        reason: One of `REASONS`.
    """

    record: FeedbackRecord
    reason: str


@dataclass(frozen=True, kw_only=True)
class OpenQuery:
    """A question that may still be answered.

    Attributes:
        query: The question, as it was asked.
        answered_by: Ids of the annotators who did already.
        is_expired: Whether an answer would be late.
    """

    query: Query
    answered_by: tuple[str, ...] = ()
    is_expired: bool = False


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Answers, sorted by whether they fit; nothing is paid or closed yet.

    Attributes:
        accepted: Answers, each with the question as it stood before.
        rejected: The others, with the reason.
        left_open: What stays open once the accepted ones count.
        closed: Ids of all the questions that are answered then.
    """

    accepted: tuple[tuple[FeedbackRecord, OpenQuery], ...]
    rejected: tuple[Rejection, ...]
    left_open: Mapping[str, OpenQuery]
    closed: frozenset[str]


class OpenQueries:
    """Questions by id, the money that is reserved for them, and the answers that close them."""

    def __init__(self, prices: Prices, budget: Budget, answers_per_query: int) -> None:
        """Make an empty list; each question stays until it has `answers_per_query` answers."""
        self._prices, self._budget = prices, budget
        self._answers_per_query = answers_per_query
        self._items: dict[str, OpenQuery] = {}
        self._closed: frozenset[str] = frozenset()

    def __contains__(self, query_id: object) -> bool:
        """Whether the question is open, expired ones included."""
        return query_id in self._items

    def __len__(self) -> int:
        """Number of questions that are open and have not expired."""
        return sum(not item.is_expired for item in self._items.values())

    def __getitem__(self, query_id: str) -> OpenQuery:
        """Return one question."""
        return self._items[query_id]

    def was_asked(self, query_id: str) -> bool:
        """Whether the question is open, expired or answered."""
        return query_id in self._items or query_id in self._closed

    def add(self, query: Query) -> bool:
        """Open a question and reserve its price; False, and nothing done, where money lacks."""
        item = OpenQuery(query=query)
        if not self._budget.reserve(self._owed(item)):
            return False
        self._items[query.query_id] = item
        return True

    def expire(self, before_round: int) -> tuple[Query, ...]:
        """Let the questions of earlier rounds expire; their money is free again."""
        expired = [
            item
            for item in self._items.values()
            if not item.is_expired and item.query.round_index < before_round
        ]
        for item in expired:
            self._budget.release(self._owed(item))
            self._items[item.query.query_id] = replace(item, is_expired=True)
        return tuple(item.query for item in expired)

    def judge(self, answers: Iterable[FeedbackRecord]) -> Judged:
        """Sort answers, in the order in which they came."""
        left = dict(self._items)
        accepted: list[tuple[FeedbackRecord, OpenQuery]] = []
        rejected: list[Rejection] = []
        closed = set(self._closed)
        for record in answers:
            reason = _objection(record, left, closed)
            if reason:
                rejected.append(Rejection(record=record, reason=reason))
                continue
            item = left.pop(str(record.query_id))
            accepted.append((record, item))
            item = replace(item, answered_by=(*item.answered_by, record.annotator.id))
            if len(item.answered_by) < self._answers_per_query:
                left[item.query.query_id] = item
            else:
                closed.add(item.query.query_id)
        return Judged(
            accepted=tuple(accepted),
            rejected=tuple(rejected),
            left_open=left,
            closed=frozenset(closed),
        )

    def settle(self, judged: Judged) -> None:
        """Pay for the accepted answers and close what they answer."""
        for record, item in judged.accepted:
            price = self._prices.of(item.query)
            if not item.is_expired:
                self._budget.release(price)
            is_skip = isinstance(record, Skipped)
            self._budget.pay(price * self._prices.skip_share if is_skip else price)
        self._items, self._closed = dict(judged.left_open), judged.closed

    def state_dict(self) -> dict[str, Any]:
        """Return the questions as JSON values; of the answered ones, the ids."""
        items = [
            {
                "query": query_to_json(item.query),
                "answered_by": list(item.answered_by),
                "is_expired": item.is_expired,
            }
            for item in self._items.values()
        ]
        return {"open": items, "closed": sorted(self._closed)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned, and reserve what is owed."""
        self._items, self._closed = {}, frozenset(state["closed"])
        for data in state["open"]:
            item = OpenQuery(
                query=query_from_json(data["query"]),
                answered_by=tuple(data["answered_by"]),
                is_expired=bool(data["is_expired"]),
            )
            self._items[item.query.query_id] = item
            if not item.is_expired:
                self._budget.reserved += self._owed(item)

    def _owed(self, item: OpenQuery) -> float:
        missing = self._answers_per_query - len(item.answered_by)
        return missing * self._prices.of(item.query)


def _objection(
    record: FeedbackRecord, items: Mapping[str, OpenQuery], answered: Collection[str]
) -> str:
    """Why the answer does not fit, or an empty string."""
    item = items.get(record.query_id or "")
    if item is None:
        return ANSWERED_TWICE if record.query_id in answered else NEVER_ASKED
    if not answers_query(record, item.query):
        return DIFFERENT_QUESTION
    return ANSWERED_TWICE if record.annotator.id in item.answered_by else ""
