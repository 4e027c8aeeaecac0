"""The prompt's length in the observation."""

from __future__ import annotations

import gymnasium as gym
import numpy as np

import textgym  # noqa: F401
from textgym.wrappers import PromptLengthObservation, VectorPromptLengthObservation

ID = "Probe-ExactKL-v0"


def test_single() -> None:
    env = PromptLengthObservation(gym.make(ID))
    obs, _ = env.reset(seed=0)
    assert obs in env.observation_space and obs["prompt_length"].tolist() == [1]
    obs = env.step(1)[0]
    assert obs in env.observation_space and obs["tokens"].tolist() == [0, 1, 6, 6, 6]


def test_vector_with_final_observations() -> None:
    envs = VectorPromptLengthObservation(gym.make_vec(ID, num_envs=2))
    obs, _ = envs.reset(seed=0)
    assert obs in envs.observation_space
    obs, _, _, _, infos = envs.step(np.array([5, 1]))
    assert obs in envs.observation_space and obs["prompt_length"].tolist() == [[1], [1]]
    final = infos["final_obs"][0]
    assert final in envs.single_observation_space and final["tokens"].tolist() == [0, 5, 6, 6, 6]
