"""Token ids as one-hot vectors, single and vector."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.env_checker import check_env

import textgym  # noqa: F401
from textgym.wrappers import OneHotObservation, VectorOneHotObservation
from textgym.wrappers.one_hot import one_hot

ID = "Probe-Parity-v0"


def test_numbers_by_hand() -> None:
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [0, 0, 1, 1, 0, 0])
    assert one_hot(np.zeros((4, 2), np.int64), 3).shape == (4, 6)


def test_every_cell_has_one_one_and_it_is_the_token() -> None:
    env, plain = OneHotObservation(gym.make(ID)), gym.make(ID)
    seen, ids = env.reset(seed=4)[0], plain.reset(seed=4)[0]
    for _ in range(2):
        assert seen in env.observation_space and seen.dtype == np.float32
        np.testing.assert_array_equal(seen.reshape(5, 4).argmax(axis=1), ids)
        np.testing.assert_array_equal(seen.reshape(5, 4).sum(axis=1), 1.0)
        if len(ids) and ids[-1] == 3:  # the answer is still empty
            seen, ids = env.step(1)[0], plain.step(1)[0]


def test_sb3_accepts_it() -> None:
    check_env(OneHotObservation(gym.make(ID)))


def test_rows_are_single_ones_and_final_observations_too() -> None:
    envs = VectorOneHotObservation(gym.make_vec(ID, num_envs=3))
    env = OneHotObservation(gym.make(ID))
    observations, _ = envs.reset(seed=0)
    assert observations in envs.observation_space
    np.testing.assert_array_equal(observations[2], env.reset(seed=2)[0])
    observations, _, _, _, infos = envs.step([0, 1, 1])
    np.testing.assert_array_equal(infos["final_obs"][2], env.step(1)[0])
    np.testing.assert_array_equal(observations[2], env.reset()[0])


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected token ids, Box.*got Box\(.*float32"):
        OneHotObservation(gym.make("CartPole-v1"))
    big = gym.spaces.Box(0, 50_000, (512,), np.int64)
    env = gym.make(ID).unwrapped
    env.observation_space = big
    with pytest.raises(ValueError, match="at most 65536 numbers, got 25600512"):
        OneHotObservation(env)
