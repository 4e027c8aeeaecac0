"""TwoState-v0: the tables of the exercise, its exact solution, and learners that find it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry.tabular import value_iteration

ID = "TwoState-v0"
VALUES = np.array([720, 820]) / 91
Q_VALUES = np.array([[602, 720], [720, 820]]) / 91


def core() -> Any:
    return gym.make(ID).unwrapped


def test_the_tables_are_those_of_the_exercise() -> None:
    mdp = core().mdp
    np.testing.assert_allclose(mdp.transitions[0, :, 1], [0.5, 0.8])
    np.testing.assert_allclose(mdp.transitions[1, :, 0], [0.2, 0.1])
    np.testing.assert_allclose(mdp.transitions.sum(axis=2), 1.0)
    np.testing.assert_array_equal(mdp.rewards, [[-1, 0], [0, 1]])
    assert mdp.gamma == 0.9 and mdp.max_steps == 100


def test_the_exact_solution() -> None:
    env = core()
    np.testing.assert_allclose(env.optimal_values, VALUES, rtol=1e-12)
    np.testing.assert_allclose(env.optimal_q, Q_VALUES, rtol=1e-12)
    np.testing.assert_allclose(value_iteration(env.mdp), VALUES, atol=1e-9)


def test_of_all_policies_the_best_is_the_solution() -> None:
    mdp = core().mdp
    values = [mdp.policy_values(np.array([a, b])) for a in range(2) for b in range(2)]
    np.testing.assert_allclose(np.max(values, axis=0), VALUES, rtol=1e-12)
    np.testing.assert_allclose(values[3], VALUES, rtol=1e-12)


def test_steps_follow_the_tables() -> None:
    """Frequencies of 4,000 steps of each pair, within four standard errors, and their rewards."""
    envs: Any = gym.make_vec(ID, num_envs=200)
    counts, moves = np.zeros((2, 2)), np.zeros((2, 2))
    _, info = envs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(80):
        states, actions = info["state"], rng.integers(2, size=200)
        observations, rewards, _, _, info = envs.step(actions)
        np.testing.assert_array_equal(observations, info["state"])
        np.testing.assert_array_equal(rewards, np.array([[-1, 0], [0, 1]])[states, actions])
        np.add.at(counts, (states, actions), 1)
        np.add.at(moves, (states, actions), observations)
    expected = np.array([[0.5, 0.8], [0.8, 0.9]])
    errors = np.sqrt(expected * (1 - expected) / counts)
    assert (np.abs(moves / counts - expected) < 4 * errors).all()


def test_truncated_after_a_hundred_steps_and_never_terminated() -> None:
    env = gym.make(ID)
    env.reset(seed=0)
    flags = [env.step(1)[2:4] for _ in range(100)]
    assert not any(terminated for terminated, _ in flags)
    assert [truncated for _, truncated in flags] == [False] * 99 + [True]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_q_learning_finds_the_solution(seed: int) -> None:
    env = gym.make(ID)
    rng = np.random.default_rng(seed)
    q, visits = np.zeros((2, 2)), np.zeros((2, 2))
    state, _ = env.reset(seed=seed)
    for _ in range(20_000):
        action = int(rng.integers(2))
        after, reward, _, truncated, _ = env.step(action)
        visits[state, action] += 1
        rate = 1 / visits[state, action] ** 0.7
        q[state, action] += rate * (float(reward) + 0.9 * q[after].max() - q[state, action])
        state = env.reset()[0] if truncated else after
    np.testing.assert_allclose(q, Q_VALUES, atol=0.5)
    assert (q.argmax(axis=1) == 1).all()


def test_another_discount_has_another_solution() -> None:
    env: Any = gym.make(ID, gamma=0.0).unwrapped
    np.testing.assert_array_equal(env.optimal_q, [[-1, 0], [0, 1]])
