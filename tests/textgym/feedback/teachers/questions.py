"""Questions for simulated teachers, and what is read of their answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from textgym.feedback import Comparison, FeedbackRecord, PromptText, Query, Response
from textgym.feedback.teachers import TeacherConfig, build_teacher

PROMPT = PromptText(text="Why is the sky blue?")


def response(gold: float | None, text: str = "air", **fields: Any) -> Response:
    return Response(prompt=PROMPT, text=text, gold_score=gold, **fields)


def query(kind: str, *responses: Response, **fields: Any) -> Query:
    return Query(kind=kind, prompt=PROMPT, responses=responses, **fields)


def pair(first: float, second: float, **fields: Any) -> Query:
    return query("comparison", response(first, "a"), response(second, "b"), **fields)


def ask(config: TeacherConfig, queries: Sequence[Query], judge: Any = None) -> list[FeedbackRecord]:
    return build_teacher(config, judge).answer(queries, round_index=0)


def winners(config: TeacherConfig, queries: Sequence[Query]) -> list[int | None]:
    """Index of the chosen response of each comparison, None for a tie."""
    records = ask(config, queries)
    assert all(isinstance(record, Comparison) for record in records)
    return [
        None if record.is_tie else asked.responses.index(record.chosen)
        for asked, record in zip(queries, records, strict=True)
    ]


def values(config: TeacherConfig, queries: Sequence[Query]) -> np.ndarray:
    return np.array([record.value for record in ask(config, queries)])


def assert_share(hits: int, total: int, expected: float) -> None:
    deviation = math.sqrt(expected * (1 - expected) / total)
    assert abs(hits / total - expected) < 4 * deviation, (hits / total, expected)
