"""Records that answer a query: each takes over what the query knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from textgym.feedback.queries import Query
from textgym.feedback.records import (
    Comparison,
    Correction,
    Demonstration,
    FeedbackRecord,
    LanguageFeedback,
    Ranking,
    Score,
    Skipped,
)
from textgym.feedback.responses import Action, Annotator, Response, Span

Details = Mapping[str, Any]


def score_answer(
    query: Query,
    annotator: Annotator,
    value: float,
    *,
    answered_at: float | None = None,
    details: Details | None = None,
) -> Score:
    """Answer a score query by `value` in [0, 1]."""
    return Score(
        **_shared(query, annotator, "score", answered_at, details),
        shown_order=query.shown_order,
        response=query.responses[0],
        value=value,
        span=query.span,
        action_index=query.action_index,
    )


def comparison_answer(
    query: Query,
    annotator: Annotator,
    better: int | None,
    *,
    strength: float | None = None,
    answered_at: float | None = None,
    details: Details | None = None,
) -> Comparison:
    """Answer a comparison query.

    Args:
        query: The question.
        annotator: Who answers.
        better: 0 or 1, the index of the better response in `query.responses`; None for a tie.
        strength: How much better, in (0, 1].
        answered_at: When, in seconds since 1970 UTC.
        details: Goes into the record.
    """
    shared = _shared(query, annotator, "comparison", answered_at, details)
    if better not in (None, 0, 1):
        raise ValueError(f"better must be 0, 1 or None for a tie, got {better!r}")
    first = better or 0
    return Comparison(
        **shared,
        shown_order=tuple(index if first == 0 else 1 - index for index in query.shown_order),
        chosen=query.responses[first],
        rejected=query.responses[1 - first],
        is_tie=better is None,
        strength=strength,
    )


def ranking_answer(
    query: Query,
    annotator: Annotator,
    ranks: Sequence[int],
    *,
    answered_at: float | None = None,
    details: Details | None = None,
) -> Ranking:
    """Answer a ranking query by one rank for each response, 1 the best."""
    return Ranking(
        **_shared(query, annotator, "ranking", answered_at, details),
        shown_order=query.shown_order,
        ranked=query.responses,
        ranks=tuple(ranks),
    )


def language_answer(
    query: Query,
    annotator: Annotator,
    words: str,
    *,
    span: Span | None = None,
    answered_at: float | None = None,
    details: Details | None = None,
) -> LanguageFeedback:
    """Answer a language query in words, about `span` or else the query's part."""
    return LanguageFeedback(
        **_shared(query, annotator, "language", answered_at, details),
        shown_order=query.shown_order,
        response=query.responses[0],
        words=words,
        span=span or query.span,
    )


def demonstration_answer(
    query: Query,
    annotator: Annotator,
    response: Response,
    *,
    answered_at: float | None = None,
    details: Details | None = None,
) -> Demonstration:
    """Answer a demonstration query by a good response to its prompt."""
    if not query.prompt.is_same(response.prompt):
        raise ValueError(
            f"a demonstration must answer the query's prompt {query.prompt.text[:80]!r}, "
            f"got one to {response.prompt.text[:80]!r}"
        )
    return Demonstration(
        **_shared(query, annotator, "demonstration", answered_at, details), response=response
    )


def correction_answer(
    query: Query,
    annotator: Annotator,
    *,
    better: Response | None = None,
    action_index: int | None = None,
    better_action: Action | None = None,
    answered_at: float | None = None,
    details: Details | None = None,
) -> Correction:
    """Answer a correction query by a better response, or a better action at one step."""
    if better is None and action_index is None:
        action_index = query.action_index
    return Correction(
        **_shared(query, annotator, "correction", answered_at, details),
        shown_order=query.shown_order,
        response=query.responses[0],
        better=better,
        action_index=action_index,
        better_action=better_action,
    )


def skip_answer(
    query: Query,
    annotator: Annotator,
    reason: str = "",
    *,
    answered_at: float | None = None,
    details: Details | None = None,
) -> Skipped:
    """Decline to answer a query of any kind."""
    return Skipped(
        **_shared(query, annotator, query.kind, answered_at, details),
        shown_order=query.shown_order,
        shown_prompt=query.prompt,
        skipped=query.responses,
        reason=reason,
    )


def answer_id(query_id: str, annotator_id: str) -> str:
    """Return the record id of one annotator's answer to one query.

    Always the same, so that an answer that arrives twice is stored once; and a digest, so that a
    tombstone does not say who the annotator was.
    """
    return hashlib.sha256(f"{query_id}\n{annotator_id}".encode()).hexdigest()[:32]


def answers_query(record: FeedbackRecord, query: Query) -> bool:
    """Whether the record is of the kind asked for (or a skip) and about the query's responses."""
    if record.query_id != query.query_id or record.kind not in (query.kind, Skipped.kind):
        return False
    if isinstance(record, Demonstration):
        return query.prompt.is_same(record.prompt)
    return len(record.responses) == len(query.responses) and all(
        response in query.responses for response in record.responses
    )


def _shared(
    query: Query,
    annotator: Annotator,
    kind: str,
    answered_at: float | None,
    details: Details | None,
) -> dict[str, Any]:
    if query.kind != kind:
        raise ValueError(f"a {query.kind} query cannot be answered by a {kind}")
    return {
        "record_id": answer_id(query.query_id, annotator.id),
        "query_id": query.query_id,
        "annotator": annotator,
        "asked_at": query.asked_at,
        "answered_at": answered_at,
        "round_index": query.round_index,
        "details": dict(details or {}),
    }
