"""How a critic is measured: hand-worked pairs, and readings of a critic that knows or guesses."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.agents.evaluation.critic_measures import (
    Review,
    reading,
    review_readings,
    squality_reviews,
)
from textgym.feedback.teachers.critic import rubric_critic


def test_a_perfect_a_reversed_and_a_constant_reader() -> None:
    truth = np.linspace(0, 1, 200)
    perfect = reading("p", truth, truth)
    assert perfect.pairwise_accuracy.mean == 1.0 and perfect.pairwise_accuracy.count == 100
    assert perfect.correlation is not None and perfect.correlation.mean == pytest.approx(1.0)
    assert perfect.error is not None and perfect.error.mean == 0.0
    turned = reading("t", 1 - truth, truth)
    assert turned.pairwise_accuracy.mean == 0.0
    assert turned.correlation is not None and turned.correlation.mean == pytest.approx(-1.0)
    constant = reading("c", np.full(200, 0.5), truth, same_scale=False)
    assert constant.pairwise_accuracy.mean == 0.5 and constant.error is None
    assert constant.correlation is not None and constant.correlation.mean == 0.0


def row(*reviews: list[tuple[int, int, int]]) -> dict:
    names = ("correctness-rating", "selection-rating", "overall-rating")
    systems = {
        f"system {i}": {"reviews": [dict(zip(names, one, strict=True)) for one in of_system]}
        for i, of_system in enumerate(reviews)
    }
    return {"systems": systems}


def test_reviews_are_compared_within_one_reviewer_and_question() -> None:
    # Two reviewers of two systems: they agree on the order in the first question only.
    rows = [
        row([(90, 90, 90), (95, 85, 90)], [(10, 10, 10), (5, 5, 5)]),
        row([(90, 90, 90), (5, 5, 5)], [(10, 10, 10), (95, 95, 95)]),
    ]
    reviews = squality_reviews(rows)
    assert reviews[0] == Review(question=0, reviewer=0, correctness=0.9, selection=0.9, overall=0.9)
    assert [(r.question, r.reviewer) for r in reviews[:4]] == [(0, 0), (0, 1), (0, 0), (0, 1)]
    words, grades, numbers, other = review_readings(rubric_critic(), reviews, phrasings="seen")
    assert words.pairwise_accuracy.mean == grades.pairwise_accuracy.mean == 1.0
    assert numbers.pairwise_accuracy.mean == 1.0
    assert other.pairwise_accuracy.mean == 0.5


def test_rows_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match="row 0 holds no reviews"):
        squality_reviews([{"text": "a"}])
