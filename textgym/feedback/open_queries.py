"""The questions that may still be answered: what each is owed, and which answers fit."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
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
        changed: Id to the question as it stands once the accepted ones count, None where it is
            answered then.
    """

    accepted: tuple[tuple[FeedbackRecord, OpenQuery], ...]
    rejected: tuple[Rejection, ...]
    changed: Mapping[str, OpenQuery | None]


class OpenQueries:
    """Questions by id, the money that is reserved for them, and the answers that close them.

    What it holds is bounded by what is open: of the expired and of the answered questions only the
    newest are remembered.
    """

    def __init__(
        self, prices: Prices, budget: Budget, answers_per_query: int, remembered: int = 10_000
    ) -> None:
        """Make an empty list; each question stays until it has `answers_per_query` answers."""
        self._prices, self._budget = prices, budget
        self._answers_per_query, self._remembered = answers_per_query, remembered
        self._items: dict[str, OpenQuery] = {}
        # Dicts for sets that know their order: the first id is the oldest.
        self._expired: dict[str, None] = {}
        self._closed: dict[str, None] = {}

    def __contains__(self, query_id: object) -> bool:
        """Whether the question is open, expired ones included."""
        return query_id in self._items

    def __len__(self) -> int:
        """Number of questions that are open and have not expired."""
        return len(self._items) - len(self._expired)

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
        expired = self._unexpired(before_round)
        for item in expired:
            self._budget.release(self._owed(item))
            self._items[item.query.query_id] = replace(item, is_expired=True)
            self._expired[item.query.query_id] = None
        for query_id in _oldest_beyond(self._expired, self._remembered):
            del self._expired[query_id], self._items[query_id]
        return tuple(item.query for item in expired)

    def give_up(self, before_round: int) -> tuple[Query, ...]:
        """Forget the questions of earlier rounds; their money is free again."""
        given_up = self._unexpired(before_round)
        for item in given_up:
            self._budget.release(self._owed(item))
            del self._items[item.query.query_id]
        return tuple(item.query for item in given_up)

    def judge(self, answers: Iterable[FeedbackRecord]) -> Judged:
        """Sort answers, in the order in which they came."""
        changed: dict[str, OpenQuery | None] = {}
        accepted: list[tuple[FeedbackRecord, OpenQuery]] = []
        rejected: list[Rejection] = []
        for record in answers:
            query_id = record.query_id or ""
            item = changed[query_id] if query_id in changed else self._items.get(query_id)
            reason = _objection(record, item)
            if item is None or reason:
                is_answered = query_id in changed or query_id in self._closed
                reason = reason or (ANSWERED_TWICE if is_answered else NEVER_ASKED)
                rejected.append(Rejection(record=record, reason=reason))
                continue
            accepted.append((record, item))
            item = replace(item, answered_by=(*item.answered_by, record.annotator.id))
            is_open = len(item.answered_by) < self._answers_per_query
            changed[query_id] = item if is_open else None
        return Judged(accepted=tuple(accepted), rejected=tuple(rejected), changed=changed)

    def settle(self, judged: Judged) -> None:
        """Pay for the accepted answers and close what they answer."""
        for record, item in judged.accepted:
            price = self._prices.of(item.query)
            if not item.is_expired:
                self._budget.release(price)
            is_skip = isinstance(record, Skipped)
            self._budget.pay(price * self._prices.skip_share if is_skip else price)
        for query_id, changed in judged.changed.items():
            if changed is not None:
                self._items[query_id] = changed
                continue
            del self._items[query_id]
            self._expired.pop(query_id, None)
            self._closed[query_id] = None
        for query_id in _oldest_beyond(self._closed, self._remembered):
            del self._closed[query_id]

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
        return {"open": items, "closed": list(self._closed)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned, and reserve what is owed."""
        self._items, self._closed = {}, dict.fromkeys(state["closed"])
        for data in state["open"]:
            item = OpenQuery(
                query=query_from_json(data["query"]),
                answered_by=tuple(data["answered_by"]),
                is_expired=bool(data["is_expired"]),
            )
            self._items[item.query.query_id] = item
            if not item.is_expired:
                self._budget.reserved += self._owed(item)
        self._expired = {name: None for name, item in self._items.items() if item.is_expired}

    def _unexpired(self, before_round: int) -> list[OpenQuery]:
        return [
            item
            for item in self._items.values()
            if not item.is_expired and item.query.round_index < before_round
        ]

    def _owed(self, item: OpenQuery) -> float:
        missing = self._answers_per_query - len(item.answered_by)
        return missing * self._prices.of(item.query)


def _objection(record: FeedbackRecord, item: OpenQuery | None) -> str:
    """Why the answer does not fit the question, or an empty string; also where there is none."""
    if item is None:
        return ""
    if not answers_query(record, item.query):
        return DIFFERENT_QUESTION
    return ANSWERED_TWICE if record.annotator.id in item.answered_by else ""


def _oldest_beyond(ids: Mapping[str, None], count: int) -> list[str]:
    """The oldest ids, as many as there are beyond `count`."""
    return list(itertools.islice(ids, max(0, len(ids) - count)))
