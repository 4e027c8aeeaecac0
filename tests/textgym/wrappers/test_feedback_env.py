"""Registered environments that are paid by feedback: the contract, single and vector."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium_env
from gymnasium.utils.env_checker import data_equivalence
from stable_baselines3.common.env_checker import check_env as check_sb3_env
from stable_baselines3.common.env_util import make_vec_env

import textgym  # noqa: F401
from textgym.envs_registry.specs import ENVIRONMENTS
from textgym.feedback.segment_feedback import SegmentFeedback

IDS = [row.id for row in ENVIRONMENTS if row.family == "control"]
ID = "RLHF-CartPole-v0"


@pytest.fixture(params=IDS)
def env_id(request: pytest.FixtureRequest) -> str:
    if "Lunar" in request.param:
        pytest.importorskip("Box2D", reason="needs textgym[box2d]")
    return request.param


def test_both_libraries_check_it_without_a_warning_of_its_own(env_id: str) -> None:
    """Gymnasium warns of CartPole's infinite bounds, which are the environment's own."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        env = gym.make(env_id, disable_env_checker=True).unwrapped
        check_gymnasium_env(env, skip_render_check=True)
        check_sb3_env(env)
    messages = [str(warning.message) for warning in found if "Swig" not in str(warning.message)]
    assert [text for text in messages if "This is probably too" not in text] == []


def test_same_seed_same_episode(env_id: str) -> None:
    first, second = gym.make(env_id), gym.make(env_id)
    first.action_space.seed(1)
    assert data_equivalence(first.reset(seed=3), second.reset(seed=3))
    for _ in range(10):
        action = first.action_space.sample()
        assert data_equivalence(first.step(action), second.step(action))


def test_it_pays_nothing_and_keeps_the_true_reward(env_id: str) -> None:
    env = gym.make(env_id, segment_length=5)
    env.reset(seed=0)
    infos = []
    for _ in range(1100):
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert reward == 0.0 and not info["reward_ready"]
        infos.append(info)
        if terminated or truncated:
            break
    assert infos[-1]["gold_score"] == pytest.approx(sum(info["true_reward"] for info in infos))
    assert len(env.get_wrapper_attr("feedback").pool) >= len(infos) // 5


def test_spec_and_pickle(env_id: str) -> None:
    env = gym.make(env_id, segment_length=7)
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.get_wrapper_attr("feedback").config.segment_length == 7
    copied = pickle.loads(pickle.dumps(env.unwrapped))
    assert data_equivalence(copied.reset(seed=0), env.unwrapped.reset(seed=0))
    assert data_equivalence(copied.step(0), env.unwrapped.step(0))


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_rows_of_a_vector_environment_share_one_feedback(mode: str) -> None:
    envs: Any = gym.make_vec(ID, num_envs=3, autoreset_mode=mode, segment_length=2)
    assert envs.metadata["autoreset_mode"] == gym.vector.AutoresetMode(mode)
    observations, _ = envs.reset(seed=0)
    assert observations in envs.observation_space
    shared = envs.unwrapped.feedback
    assert all(env.unwrapped.feedback is shared for env in envs.envs)
    for _ in range(2):
        _, rewards, _, _, infos = envs.step(np.zeros(3, dtype=np.int64))
    assert len(shared.pool) == 3 and rewards.tolist() == [0.0] * 3
    assert infos["true_reward"].tolist() == [1.0] * 3
    assert infos["reward_model_version"].tolist() == [0] * 3


def test_rows_that_are_given_one_share_it() -> None:
    shared = SegmentFeedback()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = [gym.make(ID, feedback=shared) for _ in range(2)]
        specs = [row.spec for row in rows]
    assert all(row.get_wrapper_attr("feedback") is shared for row in rows) and len(specs) == 2


def test_stable_baselines_makes_it_by_its_id() -> None:
    envs = make_vec_env(ID, n_envs=2, seed=0)
    envs.reset()
    _, rewards, _, infos = envs.step(np.array([0, 1]))
    assert rewards.tolist() == [0.0, 0.0] and infos[1]["true_reward"] == 1.0


def test_an_unknown_argument_is_named() -> None:
    with pytest.raises(TypeError, match="segments_length"):
        gym.make(ID, segments_length=3)
    with pytest.raises(ValueError, match="segment_length must be an integer of at least 1, got 0"):
        gym.make(ID, segment_length=0)
