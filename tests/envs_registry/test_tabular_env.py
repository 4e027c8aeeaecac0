"""Environments in tables: the contract of Gymnasium, the vector environment, the exact solution."""

from __future__ import annotations

import pickle
import re
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env as check_gymnasium_env
from gymnasium.utils.env_checker import data_equivalence
from stable_baselines3.common.env_checker import check_env as check_sb3_env

import textgym  # noqa: F401
from textgym.envs_registry.tabular import TabularMDP, value_iteration

CASES: list[tuple[str, dict[str, Any]]] = [
    ("TwoState-v0", {}),
    ("TextMaze-v0", {}),
    ("TextMaze-v0", {"observation": "cell", "reward": "teacher"}),
    ("TextMaze-Corridor-v0", {}),
    ("TextMaze-TMaze-v0", {"memory": True}),
]
IDS = [f"{env_id} {kwargs}" for env_id, kwargs in CASES]
cases = pytest.mark.parametrize(("env_id", "kwargs"), CASES, ids=IDS)


@cases
def test_both_checkers_are_content(env_id: str, kwargs: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for mode in (None, "ansi"):
            env = gym.make(env_id, render_mode=mode, disable_env_checker=True, **kwargs).unwrapped
            check_gymnasium_env(env)
            check_sb3_env(env)


@cases
def test_specs_and_pickles_come_back(env_id: str, kwargs: dict[str, Any]) -> None:
    env, envs = gym.make(env_id, **kwargs), gym.make_vec(env_id, num_envs=2, **kwargs)
    assert EnvSpec.from_json(env.spec.to_json()) == env.spec
    for made in (env, envs):
        copied = pickle.loads(pickle.dumps(made))
        assert data_equivalence(made.reset(seed=5), copied.reset(seed=5))


@cases
@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_rows_are_single_environments(env_id: str, kwargs: dict[str, Any], mode: str) -> None:
    envs = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode, max_steps=9, **kwargs)
    single = gym.make(env_id, max_steps=9, **kwargs)
    assert envs.metadata["autoreset_mode"].value.replace("_", "").lower() == mode.lower()
    observations, _ = envs.reset(seed=7)
    expected, _ = single.reset(seed=8)
    np.testing.assert_array_equal(observations[1], expected)
    rng, ended = np.random.default_rng(0), False
    while not ended:
        actions = rng.integers(2, size=3)
        step, one = envs.step(actions), single.step(actions[1])
        ended = bool(one[2] or one[3])
        assert step[1][1] == one[1] and (step[2][1], step[3][1]) == (one[2], one[3])
        seen = step[4]["final_obs"][1] if ended and mode == "SameStep" else step[0][1]
        np.testing.assert_array_equal(seen, one[0])
        if mode == "Disabled" and (over := step[2] | step[3]).any() and not ended:
            envs.reset(options={"reset_mask": over})
    if mode == "SameStep":
        np.testing.assert_array_equal(step[0][1], single.reset()[0])


@cases
def test_the_solution_is_the_one_of_value_iteration(env_id: str, kwargs: dict[str, Any]) -> None:
    core: Any = gym.make(env_id, **kwargs).unwrapped
    np.testing.assert_allclose(core.optimal_values, value_iteration(core.mdp), atol=1e-8)
    np.testing.assert_allclose(core.optimal_q.max(axis=1), core.optimal_values, atol=1e-12)
    vector: Any = gym.make_vec(env_id, num_envs=2, **kwargs).unwrapped
    np.testing.assert_array_equal(vector.optimal_q, core.optimal_q)
    np.testing.assert_array_equal(vector.optimal_values, core.optimal_values)
    assert vector.gamma == core.gamma == core.config.gamma


@cases
def test_returns_are_those_that_are_played(env_id: str, kwargs: dict[str, Any]) -> None:
    """The greedy policy of Q* and random actions, 300 episodes each, within four errors."""
    envs: Any = gym.make_vec(env_id, num_envs=300, **kwargs)
    mdp, rng = envs.unwrapped.mdp, np.random.default_rng(0)
    for is_best, expected in ((True, mdp.best_return), (False, mdp.random_return)):
        _, info = envs.reset(seed=0)
        totals, is_on = np.zeros(300), np.ones(300, dtype=np.bool_)
        while is_on.any():
            best = mdp.optimal_q[info["state"]].argmax(axis=1)
            actions = best if is_best else rng.integers(2, size=300)
            _, rewards, terminated, truncated, info = envs.step(actions)
            totals += np.where(is_on, rewards, 0.0)
            if is_best and "regret" in info:
                np.testing.assert_allclose(info["regret"], 0.0, atol=1e-9)
            is_on &= ~(terminated | truncated)
        error = totals.std() / np.sqrt(300)
        assert totals.mean() == pytest.approx(expected, abs=4 * error + 1e-6)


def test_a_policys_values_by_hand() -> None:
    """One state, two actions that pay 1 and 2 and stay: V = r / (1 - gamma)."""
    mdp = TabularMDP(
        transitions=np.ones((1, 2, 1)),
        rewards=np.array([[1.0, 2.0]]),
        start=np.ones(1),
        is_end=np.array([False]),
        gamma=0.5,
        max_steps=3,
    )
    assert mdp.policy_values(np.array([0])) == pytest.approx([2.0])
    assert mdp.policy_values(np.array([[0.5, 0.5]])) == pytest.approx([3.0])
    assert mdp.optimal_values == pytest.approx([4.0])
    assert (mdp.best_return, mdp.random_return) == (6.0, 4.5)


def test_bad_tables() -> None:
    good: dict[str, Any] = {
        "transitions": np.ones((1, 1, 1)),
        "rewards": np.zeros((1, 1)),
        "start": np.ones(1),
        "is_end": np.array([False]),
        "gamma": 0.5,
        "max_steps": 1,
    }
    for name, value, message in (
        ("transitions", np.ones((1, 2, 1)), r"must be \(1, 1, 1\), got \(1, 2, 1\)"),
        ("transitions", 0.5 * np.ones((1, 1, 1)), "transitions must be chances that sum to 1"),
        ("start", np.ones(2), r"start must be \(1,\), got \(2,\)"),
        ("gamma", 1.0, r"gamma must lie in \[0, 1\), got 1.0"),
        ("max_steps", 0, "max_steps must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            TabularMDP(**{**good, name: value})


def test_bad_arguments_and_steps() -> None:
    with pytest.raises(TypeError, match="'gama'; did you mean 'gamma'"):
        gym.make("TwoState-v0", gama=0.5)
    with pytest.raises(ValueError, match=r"gamma must lie in \[0, 1\), got 1.5"):
        gym.make_vec("TwoState-v0", num_envs=2, gamma=1.5)
    with pytest.raises(ValueError, match="max_steps must be an integer of at least 1, got 0"):
        gym.make("TwoState-v0", max_steps=0)
    env = gym.make("TwoState-v0", disable_env_checker=True).unwrapped
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset()
    with pytest.raises(ValueError, match="action must lie in .*, got 2"):
        env.step(2)
    for state in (2, -1, "x", 0.7, True, [1]):
        said = re.escape(f"that does not end an episode, got {state!r}")
        with pytest.raises(ValueError, match=f"state must be an integer of 0 to 1 {said}"):
            env.reset(options={"state": state})
    assert env.reset(options={"state": np.int64(1)})[0] == 1
    with pytest.raises(ValueError, match="options of reset are 'state', got .'stat'."):
        env.reset(options={"stat": 1})


def test_render(capsys: pytest.CaptureFixture[str]) -> None:
    env = gym.make("TwoState-v0", render_mode="ansi")
    env.reset(options={"state": 1})
    assert env.render() == "state 1"
    env.step(1)
    assert str(env.render()).startswith("state 1 --1--> state ")
    env = gym.make("TwoState-v0", render_mode="human")
    env.reset(options={"state": 0})
    assert capsys.readouterr().out == "state 0\n"
    with pytest.raises(ValueError, match="got 'rgb_array'"):
        gym.make(
            "TwoState-v0", render_mode="rgb_array", disable_env_checker=True
        ).unwrapped.render()
