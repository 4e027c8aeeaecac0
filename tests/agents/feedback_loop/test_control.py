"""A control environment in the loop: PPO acts, a small ensemble is learned, nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import textgym  # noqa: F401
from textgym.agents.feedback_loop.control import (
    ControlLearner,
    rows_of,
    saved_agent,
    true_return,
    wrapped,
)
from textgym.agents.feedback_loop.control_settings import ControlSettings, settings_for
from textgym.agents.reward_learning.vector_training import VectorRewardConfig
from textgym.agents.storage.checkpoint import CheckpointError, save_folder
from textgym.feedback.broker import BrokerConfig, FeedbackBroker
from textgym.feedback.prices import Prices
from textgym.feedback.segment_feedback import SegmentFeedback, SegmentFeedbackConfig
from textgym.feedback.store import FeedbackStore
from textgym.feedback.teachers import TeacherConfig, build_teacher
from textgym.wrappers import HumanFeedback

SETTINGS = ControlSettings(total_steps=400, num_envs=2, ppo={"n_steps": 32, "batch_size": 32})


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Return `make(env_id, teacher="", prices=None, seed=0, **feedback)`: a learner."""

    def learner(
        env_id: str = "RLHF-CartPole-v0",
        teacher: str = "",
        prices: Prices | None = None,
        answer_within: int | None = None,
        **feedback: Any,
    ) -> ControlLearner:
        tmp_path.mkdir(exist_ok=True)
        store = FeedbackStore(tmp_path / "feedback.db")
        return ControlLearner(
            env_id,
            SETTINGS,
            feedback=SegmentFeedbackConfig(**{"segment_length": 20, **feedback}),
            reward=VectorRewardConfig(epochs=3, members=2, device="cpu"),
            make_broker=lambda gold: FeedbackBroker(
                build_teacher(TeacherConfig.parse(teacher)),
                store,
                BrokerConfig(budget=100, answer_within=answer_within),
                prices=prices,
            ),
        )

    return learner


def one_round(learner: ControlLearner, index: int, allowed: float, steps: int = 128) -> int:
    learner.act(index, steps, lambda done: None)
    learner.ask(allowed)
    found = learner.receive()
    learner.fit()
    return found


def test_the_policy_waits_for_the_first_reward(make) -> None:
    learner = make()
    before = {k: v.clone() for k, v in learner.agent.policy.state_dict().items()}
    steps: list[int] = []
    learner.act(0, 128, steps.append)
    assert sum(steps) == 128 and learner.agent.num_timesteps == 0
    after = learner.agent.policy.state_dict()
    assert all((after[name] == value).all() for name, value in before.items())
    learner.ask(6)
    assert learner.receive() == 6 and learner.spent == 6.0
    held_out = learner.fit()
    assert learner.feedback.version == 1 and held_out == {}  # too few labels to hold any out
    learner.act(1, 64, lambda done: None)
    changed = learner.agent.policy.state_dict()
    assert any((changed[name] != value).any() for name, value in before.items())
    assert learner.agent.num_timesteps == 64


def test_money_is_what_limits_the_questions(make) -> None:
    learner = make(prices=Prices(comparison=1.0, action=0.1))
    learner.act(0, 256, lambda done: None)
    # 1 + 0.1 * 2 * 20 = 5 at most for each of them.
    assert learner.ask(16.0) == 3
    learner.receive()
    assert learner.spent <= 15.0
    assert learner.ask(learner.spent) == 0


@pytest.mark.parametrize("kind", ["comparison", "score"])
def test_a_resumed_run_is_the_run(make, tmp_path: Path, kind: str) -> None:
    """State, policy, reward and answers after a round; the next round is the same word for word."""
    learner = make(feedback_kind=kind, teacher="beta=1,delay=1")
    learner.act(0, 128, lambda done: None)
    learner.ask(8)
    learner.receive()
    one_round(learner, 1, 16)
    (tmp_path / "state").mkdir()
    learner.write_state(tmp_path / "state")
    again = make(feedback_kind=kind, teacher="beta=1,delay=1")
    again.read_state(tmp_path / "state")
    assert again.feedback.records == learner.feedback.records
    assert again.feedback.version == learner.feedback.version == 1
    for index in (2, 3):
        assert one_round(learner, index, 8.0 + 8 * index) == one_round(
            again, index, 8.0 + 8 * index
        )
        ours, theirs = learner.agent.policy.state_dict(), again.agent.policy.state_dict()
        assert all((ours[name] == value).all() for name, value in theirs.items())
    assert [r.record_id for r in again.feedback.records] == [
        r.record_id for r in learner.feedback.records
    ]
    assert again.evaluate(3) == learner.evaluate(3)


def test_box_actions_and_any_environment(make) -> None:
    learner = make("Pendulum-v1")
    one_round(learner, 0, 8)
    learner.act(1, 64, lambda done: None)
    rewards = learner.feedback.predictor.predict(np.zeros((1, 3)), np.zeros((1, 1)))
    assert np.isfinite(rewards).all()
    assert learner.feedback.predictor.biases.any()  # no episode ends early: the zero is free


def test_too_little_to_begin_with_is_said(make) -> None:
    learner = make("Pendulum-v1", segment_length=100)
    with pytest.raises(ValueError, match="at least 2 segments in the first steps, got 0"):
        learner.act(0, 64, lambda done: None)
    with pytest.raises(ValueError, match="a round of recording before the first question"):
        learner.ask(1)


def test_rows_are_paid_by_either_reward() -> None:
    shared = SegmentFeedback()
    assert wrapped("RLHF-CartPole-v0", shared).get_wrapper_attr("feedback") is shared
    assert isinstance(wrapped("CartPole-v1", shared), HumanFeedback)
    for is_true, paid in ((False, 0.0), (True, 1.0)):
        rows = rows_of("RLHF-CartPole-v0", 2, shared, is_true=is_true)
        rows.reset()
        assert rows.step(np.array([0, 1]))[1].tolist() == [paid, paid]


def test_known_environments_have_settings_of_their_own() -> None:
    assert settings_for("RLHF-CartPole-v0") is settings_for("CartPole-v1")
    assert settings_for("RLHF-LunarLander-v0").total_steps == 1_000_000
    assert settings_for("Acrobot-v1").num_envs == 8
    assert gym.spec("RLHF-CartPole-v0").max_episode_steps is None


def test_answers_that_all_tie_teach_nothing(make: Any) -> None:
    learner = make(teacher="eps_equal=1000")
    learner.act(0, 128, lambda done: None)
    assert learner.ask(5.0) == 5 and learner.receive() == 5
    assert learner.fit() == {} and not learner.feedback.is_ready
    assert learner.act(1, 32, lambda done: None) == 32  # it goes on recording


def test_money_of_questions_that_nobody_answers_is_free_again(make: Any) -> None:
    learner = make(teacher="dropout_round=0", answer_within=0)
    learner.act(0, 128, lambda done: None)
    assert learner.ask(3.0) == 3 and learner.receive() == 0
    learner.act(1, 128, lambda done: None)
    assert learner.ask(3.0) == 3 and learner.spent == 0.0


def test_the_policy_of_a_run_is_loaded_as_it_was_saved(make: Any, tmp_path: Path) -> None:
    learner = make()
    one_round(learner, 0, 6)
    learner.act(1, 64, lambda done: None)
    with pytest.raises(FileNotFoundError, match="seed-0"):
        saved_agent("RLHF-CartPole-v0", tmp_path / "seed-0")
    save_folder(tmp_path / "seed-0" / "state", learner.write_state)
    again = saved_agent("RLHF-CartPole-v0", tmp_path / "seed-0")
    ours, theirs = learner.agent.policy.state_dict(), again.policy.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert true_return(again, "RLHF-CartPole-v0", 2, 3, seed=0) == learner.evaluate(3)
    file = tmp_path / "seed-0" / "state" / "policy.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"policy\.safetensors.* wrong SHA-256"):
        saved_agent("RLHF-CartPole-v0", tmp_path / "seed-0")
