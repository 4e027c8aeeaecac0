"""Questions, and the records that answer them."""

from __future__ import annotations

import pytest

from textgym.feedback import Annotator, PromptText, Query, Response, Span
from textgym.feedback.answers import (
    answer_id,
    answers_query,
    comparison_answer,
    correction_answer,
    demonstration_answer,
    language_answer,
    ranking_answer,
    score_answer,
    skip_answer,
)

ANN = Annotator(id="sim", kind="simulated")
PROMPT = PromptText(text="Q:")
A = Response(prompt=PROMPT, text="a", token_ids=(1, 2))
B = Response(prompt=PROMPT, text="b", token_ids=(3,))


def query(kind: str, *responses: Response, **more: object) -> Query:
    return Query(kind=kind, prompt=PROMPT, responses=responses, query_id="q", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "count", "message"),
    [
        ("score", 2, "exactly 1 responses, got 2"),
        ("comparison", 1, "exactly 2 responses, got 1"),
        ("ranking", 1, "at least 2 responses, got 1"),
        ("demonstration", 1, "exactly 0 responses, got 1"),
        ("vote", 1, "query kind must be one of"),
    ],
)
def test_the_kind_says_how_many_responses(kind: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        query(kind, *[A, B][:count])


def test_responses_must_answer_the_prompt() -> None:
    other = Response(prompt=PromptText(text="R:"), text="x")
    with pytest.raises(ValueError, match="one prompt"):
        query("comparison", A, other)
    with pytest.raises(ValueError, match="the query's prompt 'Q:', got one to 'R:'"):
        query("score", other)


def test_parts_and_order_are_checked() -> None:
    assert query("ranking", A, B, A).shown_order == (0, 1, 2)
    with pytest.raises(ValueError, match="permutation"):
        query("comparison", A, B, shown_order=(1, 1))
    with pytest.raises(ValueError, match="span or an action"):
        query("comparison", A, B, action_index=0)
    with pytest.raises(ValueError, match="below the response's 1 actions"):
        query("score", B, action_index=1)


@pytest.mark.parametrize(
    ("better", "chosen", "order", "is_tie"),
    [(0, "a", (1, 0), False), (1, "b", (0, 1), False), (None, "a", (1, 0), True)],
)
def test_a_comparison_says_what_was_shown_first(
    better: int | None, chosen: str, order: tuple[int, int], is_tie: bool
) -> None:
    # b was shown on the left: in the record, the index of b among (chosen, rejected) comes first.
    asked = query("comparison", A, B, shown_order=(1, 0), round_index=4, asked_at=1.0)
    record = comparison_answer(asked, ANN, better, answered_at=2.0)
    assert (record.chosen.text, record.shown_order, record.is_tie) == (chosen, order, is_tie)
    assert (record.record_id, record.query_id, record.round_index) == (
        answer_id("q", "sim"),
        "q",
        4,
    )
    assert (record.asked_at, record.answered_at) == (1.0, 2.0)
    with pytest.raises(ValueError, match="0, 1 or None"):
        comparison_answer(asked, ANN, 2)


def test_each_kind_is_answered() -> None:
    span = Span(start=0, end=1)
    answered = [
        (query("score", A, span=span), lambda q: score_answer(q, ANN, 0.5)),
        (query("comparison", A, B), lambda q: comparison_answer(q, ANN, 1)),
        (query("ranking", A, B), lambda q: ranking_answer(q, ANN, (2, 1))),
        (query("language", A, span=span), lambda q: language_answer(q, ANN, "too long")),
        (query("demonstration"), lambda q: demonstration_answer(q, ANN, A)),
        (query("correction", A), lambda q: correction_answer(q, ANN, better=B)),
        (
            query("correction", A, action_index=1),
            lambda q: correction_answer(q, ANN, better_action=5),
        ),
    ]
    for asked, answer in answered:
        record = answer(asked)
        assert record.kind == asked.kind and answers_query(record, asked)
        assert answers_query(skip_answer(asked, ANN, "unclear"), asked)
        assert not answers_query(
            record, Query(kind=asked.kind, prompt=PROMPT, responses=asked.responses)
        )
    assert score_answer(answered[0][0], ANN, 0.5).span == span


def test_answers_of_another_kind_or_about_others_do_not_answer() -> None:
    with pytest.raises(ValueError, match="score query cannot be answered by a comparison"):
        comparison_answer(query("score", A), ANN, 0)
    assert not answers_query(score_answer(query("score", B), ANN, 1.0), query("score", A))
    with pytest.raises(ValueError, match="answer the query's prompt"):
        demonstration_answer(
            query("demonstration"), ANN, Response(prompt=PromptText(text="R:"), text="x")
        )
