"""What rows share: questions, answers, the reward, and the choice of questions."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textgym.feedback.broker import BrokerConfig, FeedbackBroker
from textgym.feedback.records import Comparison, Score
from textgym.feedback.segment_feedback import SegmentFeedback, SegmentFeedbackConfig
from textgym.feedback.store import FeedbackStore
from textgym.feedback.teachers import TeacherConfig, build_teacher


class Predictor:
    """Two members: one rewards the observation, the other `other` times it."""

    def __init__(self, version: int = 1, other: float = 1.0) -> None:  # noqa: D107
        self.version, self.other = version, other

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self.predict_members(observations, actions).mean(axis=0)

    def predict_members(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        assert len(observations) == len(actions)
        return np.stack([observations[:, 0], self.other * observations[:, 0]])


class Alone:
    """A predictor that is no ensemble."""

    version = 4

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return np.full(len(observations), np.nan)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Return `make(budget=None, teacher="", **config)`: feedback with a simulated teacher."""

    def feedback(budget: float | None = None, teacher: str = "", **config: Any) -> SegmentFeedback:
        store = FeedbackStore(tmp_path / "feedback.db")
        broker = FeedbackBroker(
            build_teacher(TeacherConfig.parse(teacher)), store, BrokerConfig(budget=budget)
        )
        settings = SegmentFeedbackConfig(**{"segment_length": 1, **config})
        return SegmentFeedback(settings, broker=broker)

    return feedback


def record(feedback: SegmentFeedback, values: Any) -> None:
    """One step for each value, which is what is seen and what it truly pays."""
    recorder = feedback.recorder()
    for value in values:
        recorder.add(np.array([value], dtype=np.float32), 0, float(value), terminated=False)


def test_a_perfect_teacher_prefers_the_higher_true_return(make) -> None:
    feedback = make()
    record(feedback, range(20))
    assert feedback.ask(8) == 8
    assert len(feedback.pool) == 0  # the next questions are about what comes next
    records = feedback.poll()
    assert len(records) == 8 and records == feedback.records
    for found in records:
        assert isinstance(found, Comparison)
        assert found.chosen.gold_score > found.rejected.gold_score
        assert found.chosen.segment.observations[0][0] == found.chosen.gold_score
    assert {found.shown_order for found in records} == {(0, 1), (1, 0)}


def test_scores(make) -> None:
    feedback = make(feedback_kind="score")
    record(feedback, [-3.0, 0.0, 3.0])
    assert feedback.ask(5) == 3  # no more was recorded
    found = {r.response.gold_score: r.value for r in feedback.poll() if isinstance(r, Score)}
    assert found[-3.0] < found[0.0] < found[3.0]


def test_the_budget_ends_the_questions(make) -> None:
    feedback = make(budget=3)
    record(feedback, range(20))
    assert feedback.ask(8) == 3
    feedback.poll()
    record(feedback, range(20))
    assert feedback.ask(8) == 0


def test_late_answers_count(make) -> None:
    feedback = make(teacher="delay=1")
    record(feedback, range(4))
    feedback.ask(2)
    assert feedback.poll() == []
    feedback.broker.next_round()
    assert len(feedback.poll()) == 2


def test_it_asks_by_itself(make) -> None:
    feedback = make(ask_every=4, questions=2)
    for step in range(8):
        record(feedback, [step])
        feedback.after_step()
    assert len(feedback.records) == 4
    seen = [r.chosen.gold_score for r in feedback.records[:2]]
    assert max(seen) == 3.0  # the first questions were about the first four steps


def test_before_the_first_reward_steps_pay_nothing(make) -> None:
    feedback = SegmentFeedback()
    assert (feedback.reward(np.ones(1), 0), feedback.is_ready, feedback.version) == (0.0, False, 0)
    feedback.predictor = Predictor(version=3)
    assert (feedback.reward(np.full(1, 2.5), 0), feedback.version) == (2.5, 3)
    feedback.predictor = Alone()
    with pytest.raises(ValueError, match="one finite reward per step, got array"):
        feedback.reward(np.ones(1), 0)


@pytest.mark.parametrize("kind", ["comparison", "score"])
def test_disagreement_is_asked_about_first(make, kind: str) -> None:
    """Members agree where the observation is 0 and disagree the more the larger it is."""
    feedback = make(feedback_kind=kind, selection="disagreement")
    feedback.predictor = Predictor(other=3.0)
    record(feedback, [0.0] * 9 + [5.0])
    feedback.ask(1)
    (found,) = feedback.poll()
    best = found.chosen if isinstance(found, Comparison) else found.response
    assert best.gold_score == 5.0
    feedback.predictor = Alone()
    record(feedback, [0.0, 1.0])
    with pytest.raises(ValueError, match="needs an ensemble, got Alone"):
        feedback.ask(1)


def test_spread_is_asked_about_first(make) -> None:
    feedback = make(selection="spread", segment_length=2)
    feedback.predictor = Predictor()
    record(feedback, [0.0, 0.0, 9.0, 9.0] + [1.0] * 20)
    feedback.ask(1)
    (found,) = feedback.poll()
    assert found.chosen.gold_score == 18.0


def test_a_resumed_run_asks_the_same(make) -> None:
    feedback = make()
    feedback.ask(0)
    state = feedback.state_dict()
    again = SegmentFeedback(feedback.config, broker=feedback.broker)
    again.load_state_dict(state)
    for one in (feedback, again):
        record(one, range(10))
    first, second = feedback._queries(4), again._queries(4)
    assert [q.query_id for q in first] == [q.query_id for q in second]
    assert first == second


def test_without_a_broker_nothing_can_be_asked() -> None:
    feedback = SegmentFeedback()
    with pytest.raises(ValueError, match="expected a broker to ask, got None"):
        feedback.ask(1)
    with pytest.raises(ValueError, match="expected a broker to ask, got None"):
        feedback.poll()
    assert copy.deepcopy(feedback) is feedback  # rows share it, also through copied arguments


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feedback_kind": "ranking"}, "feedback_kind must be one of .* got 'ranking'"),
        ({"segment_length": 0}, "segment_length must be an integer of at least 1, got 0"),
        ({"pool_size": 1}, "pool_size must be an integer of at least 2, got 1"),
        ({"selection": "best"}, "selection must be one of .* got 'best'"),
        ({"selection": "spread", "feedback_kind": "score"}, "'spread' compares two segments"),
        ({"ask_every": -1}, "ask_every must be an integer of at least 0, got -1"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentFeedbackConfig(**changes)
