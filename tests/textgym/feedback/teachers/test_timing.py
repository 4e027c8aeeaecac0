"""When teachers answer: delays in rounds, and people who leave."""

from __future__ import annotations

import numpy as np

from tests.textgym.feedback.teachers.questions import assert_share, query, response
from textgym.feedback.teachers import TeacherConfig, build_teacher


def test_delays_are_counted_in_rounds() -> None:
    teacher = build_teacher(TeacherConfig(delay=3))
    asked = query("score", response(0.0), round_index=2)
    assert teacher.answer([asked], round_index=2) == []
    assert teacher.answer((), round_index=4) == []
    assert [r.query_id for r in teacher.answer((), round_index=5)] == [asked.query_id]
    assert teacher.answer((), round_index=6) == []


def test_delays_that_spread_let_answers_overtake_each_other() -> None:
    teacher = build_teacher(TeacherConfig(delay=1, delay_spread=3))
    asked = [query("score", response(0.0)) for _ in range(2000)]
    position = {q.query_id: i for i, q in enumerate(asked)}
    rounds = [teacher.answer(asked if r == 0 else (), round_index=r) for r in range(6)]
    counts = [len(records) for records in rounds]
    assert counts[0] == counts[5] == 0
    for count in counts[1:5]:
        assert_share(count, 2000, 0.25)
    order = [position[r.query_id] for records in rounds for r in records]
    assert order != sorted(order)


def test_who_left_answers_nothing_more_not_even_what_was_owed() -> None:
    teacher = build_teacher(TeacherConfig(dropout_round=4, delay=1))
    for number in range(8):
        asked = query("score", response(0.0), round_index=number)
        answers = teacher.answer([asked], round_index=number)
        assert len(answers) == (1 if 1 <= number <= 3 else 0)


def test_people_leave_at_a_rate() -> None:
    config = TeacherConfig(annotators=2000, dropout_rate=0.25)
    leaves = np.array([p.timing.leaves_at for p in build_teacher(config).people])  # type: ignore[union-attr]
    for number in (1, 2, 3):
        still_there = int((leaves >= number).sum())
        assert_share(int((leaves == number).sum()), still_there, 0.25)
    assert leaves.min() == 1
