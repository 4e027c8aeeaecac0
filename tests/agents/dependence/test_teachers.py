"""Teachers that give the reference 0.5 whatever they like, and their settings as a text."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.agents.dependence.teachers import (
    ReferenceFacts,
    knobs_text,
    mean_liking,
    teacher_of,
)
from textgym.feedback.queries import Query
from textgym.feedback.responses import PromptText, Response
from textgym.feedback.teachers import TeacherConfig, build_teacher
from textgym.types import Episode, Prompt


def episode(length: int, gold: float) -> Episode:
    return Episode(
        prompt=Prompt(prompt_id=0, text="Q:"),
        prompt_ids=(1, 2),
        response_ids=tuple(range(5, 5 + length)),
        response="word " * length,
        finish_reason="eos",
        gold_score=gold,
    )


def test_a_bias_moves_scores_apart_but_not_their_middle() -> None:
    lengths, golds = [10, 20, 30], [0.3, 0.5, 0.7]
    episodes = [episode(n, g) for n, g in zip(lengths, golds, strict=True)]
    liking = mean_liking(TeacherConfig(), "length_bias", episodes)
    assert liking == pytest.approx(2.0)  # 20 tokens are two units of ten
    facts = ReferenceFacts(gold_mean=0.5, gold_std=0.2, liking=liking, golds=(), lengths=())
    teacher = build_teacher(teacher_of(TeacherConfig(), facts, "length_bias", 3.0))
    values = []
    for item in episodes:
        response = Response.of_episode(item)
        query = Query(
            kind="score", prompt=PromptText(text="Q:", token_ids=(1, 2)), responses=(response,)
        )
        values.append(teacher.answer([query], round_index=0)[0].value)
    logits = np.log(np.array(values) / (1 - np.array(values)))
    # One standard deviation of gold and three per ten tokens, around the middle.
    assert logits == pytest.approx([-4.0, 0.0, 4.0], abs=1e-6)


def test_settings_survive_as_a_text() -> None:
    config = TeacherConfig(
        beta=2.0, keywords="please|thank you", keyword_bias=0.1, dropout_round=7, gold_mean=1 / 3
    )
    assert TeacherConfig.parse(knobs_text(config)) == config
    assert knobs_text(TeacherConfig()) == ""
