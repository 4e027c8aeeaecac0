"""A teacher from plain values: text in, errors that name the knob."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from textgym.feedback.teachers import TeacherConfig, calibrated


def test_text_names_knobs() -> None:
    text = (
        " beta = 2, eps_mistake=0.1,delay=3 , keywords=please|thank you,keyword_bias=.5,view=last"
    )
    config = TeacherConfig.parse(text + ",view_size=7,dropout_round=9", gold_std=0.3, delay=1)
    expected = {"beta": 2.0, "eps_mistake": 0.1, "delay": 3, "keywords": "please|thank you",
                "keyword_bias": 0.5, "view": "last", "view_size": 7, "dropout_round": 9,
                "gold_std": 0.3}  # fmt: skip
    assert asdict(config) == {**asdict(TeacherConfig()), **expected}
    assert config.keyword_list == ("please", "thank you")
    assert TeacherConfig.parse("") == TeacherConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("betta=1", "did you mean 'beta'"),
        ("zzzzz=1", "known: annotator_id"),
        ("beta", "expected 'name=value,name=value' for a teacher, got 'beta'"),
        ("beta=1,beta=2", "given twice"),
        ("delay=1.5", "delay of a teacher must be an integer, got '1.5'"),
        ("beta=nan", "beta must be a finite number"),
    ],
)
def test_bad_text_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TeacherConfig.parse(text)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"beta": -0.5}, "beta must be at least 0, or -1"),
        ({"gold_std": 0.0}, "gold_std must be above 0"),
        ({"eps_mistake": 1.5}, r"eps_mistake must be a number in \[0, 1\], got 1.5"),
        ({"skip_rate": float("nan")}, "skip_rate"),
        ({"score_noise": -1.0}, "score_noise must be a finite number of at least 0"),
        ({"gamma": 0.0}, "gamma"),
        ({"anchoring": 1.0}, "anchoring must be below 1"),
        ({"delay": -1}, "delay must be an integer of at least 0"),
        ({"delay": None}, "delay must be an integer of at least 0, got None"),
        ({"annotators": 0}, "annotators must be an integer of at least 1"),
        ({"answers_per_query": 2}, "answers_per_query must be at most annotators=1"),
        ({"view": "middle"}, "view must be one of"),
        ({"view": "first"}, "view='first' needs a view_size"),
        ({"view_size": 3}, "needs view='first' or 'last'"),
        ({"keyword_bias": 1.0}, "needs keywords"),
        ({"style": "loud"}, "style must be one of"),
        ({"phrasings": "rude"}, "phrasings must be one of"),
        ({"annotator_id": " "}, "annotator_id"),
        ({"length_bias": None}, "length_bias must be a finite number, got None"),
    ],
)
def test_bad_knobs_are_named(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TeacherConfig(**knobs)


@pytest.mark.parametrize(
    "knobs", ["delay=1", "delay_spread=1", "eps_skip=.1", "skip_rate=.1", "dropout_round=1"]
)
def test_who_answers_at_once(knobs: str) -> None:
    assert not TeacherConfig.parse(knobs).answers_at_once
    assert TeacherConfig.parse("beta=1,score_noise=.1,drift=1").answers_at_once


@pytest.mark.parametrize("golds", [[1.0], [2.0, 2.0], [1.0, float("nan")], []])
def test_calibration_needs_golds_that_differ(golds: list[float]) -> None:
    with pytest.raises(ValueError, match="gold_scores must"):
        calibrated(TeacherConfig(), golds)
