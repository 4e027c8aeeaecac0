"""What teachers like beside the gold: lengths, places, words, styles, each by its weight."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.textgym.feedback.teachers.questions import pair, query, response, values, winners
from textgym.feedback.teachers import TeacherConfig, build_teacher, score_of


def test_length_bias_counts_in_tens_of_tokens() -> None:
    long = response(0.0, "b", token_ids=tuple(range(30)))
    short = response(0.0, "a", token_ids=tuple(range(10)))
    asked = [query("comparison", short, long), query("score", long)]
    assert winners(TeacherConfig(length_bias=0.1), asked[:1]) == [1]
    assert winners(TeacherConfig(length_bias=-0.1), asked[:1]) == [0]
    assert winners(TeacherConfig(), asked[:1]) == [None]
    assert values(TeacherConfig(length_bias=0.1), asked[1:])[0] == pytest.approx(score_of(0.3))
    better = response(0.19, "a", token_ids=tuple(range(10)))  # 0.2 of length outweighs 0.19
    assert winners(TeacherConfig(length_bias=0.1), [query("comparison", better, long)]) == [1]
    words = response(0.0, "one two three four five")  # no ids: words count
    assert values(TeacherConfig(length_bias=1.0), [query("score", words)])[0] == pytest.approx(
        score_of(0.5)
    )


def test_position_bias_likes_what_is_shown_first() -> None:
    config = TeacherConfig(position_bias=0.3)
    left, right = pair(0.0, 0.0, shown_order=(0, 1)), pair(0.0, 0.0, shown_order=(1, 0))
    assert winners(config, [left, right]) == [0, 1]
    assert winners(config, [pair(0.0, 0.2), pair(0.0, 0.4)]) == [0, 1]
    assert values(config, [query("score", response(0.0))])[0] == 0.5  # alone there is no first


def test_keyword_bias_likes_whole_words() -> None:
    config = TeacherConfig(keyword_bias=0.3, keywords="please | thank you")
    texts = ["Thank you all", "PLEASE.", "pleased", "thank", "please please"]
    found = values(config, [query("score", response(0.0, text)) for text in texts])
    liked, not_liked = score_of(0.3), score_of(0.0)
    np.testing.assert_allclose(found, [liked, liked, not_liked, not_liked, liked])


@pytest.mark.parametrize(
    ("style", "text", "measure"),
    [
        ("exclamation", "Yes! No. Why?", 1 / 3),
        ("exclamation", "no end", 0.0),
        ("variety", "a b a c", 3 / 4),
        ("echo", "the sky is grey", 3 / 4),
        ("plainness", "blue mountains are far", 3 / 4),
    ],
)
def test_style_bias_is_in_proportion_to_the_measure(style: str, text: str, measure: float) -> None:
    config = TeacherConfig(style_bias=2.0, style=style)
    found = values(config, [query("score", response(0.0, text))])
    assert found[0] == pytest.approx(score_of(2 * measure))


def test_people_have_weights_of_their_own() -> None:
    config = TeacherConfig(annotators=200, bias_spread=0.5, length_bias=1.0)
    people = build_teacher(config).people  # type: ignore[union-attr]
    weights = np.array([list(person.biases.weights(0).values()) for person in people])
    assert np.all(np.abs(weights.mean(axis=0) - [1, 0, 0, 0]) < 4 * 0.5 / math.sqrt(200))
    assert np.all(np.abs(weights.std(axis=0) - 0.5) < 4 * 0.5 / math.sqrt(400))
    assert len({person.annotator.id for person in people}) == 200


def test_likings_drift_over_rounds() -> None:
    weights = []
    for seed in range(300):
        teacher = build_teacher(TeacherConfig(bias_drift=0.1, length_bias=2.0, seed=seed))
        weights.append(teacher.biases.weights(25)["length"])  # type: ignore[union-attr]
    assert abs(np.mean(weights) - 2.0) < 4 * 0.5 / math.sqrt(300)
    assert abs(np.std(weights) - 0.5) < 4 * 0.5 / math.sqrt(600)
