"""`device="auto"` with a GPU: policy, reference and reward model alike are on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th

import textgym  # noqa: F401  (registers the environments)
from textgym.agents import PPO

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not th.cuda.is_available(), reason="no CUDA device"),
]


def test_auto_takes_the_gpu_for_all_three_models(
    tiny_model_folder: Path, tiny_reward_folder: Path
) -> None:
    env: Any = gym.make_vec(
        "RLHF-Summarize-v0",
        num_envs=4,
        reference_model=str(tiny_model_folder),
        reward_model=str(tiny_reward_folder),
        max_prompt_tokens=40,
        max_new_tokens=4,
    )
    agent = PPO("TransformerPolicy", env, n_steps=8, seed=0)
    agent.learn(4 * 8 * 2)
    core = env.unwrapped
    assert agent.policy.device.type == "cuda"
    assert core.task.reward.scorer.model.device.type == "cuda"
    assert core.task.make_reference(1, 8).model.device.type == "cuda"
    assert np.isfinite([sample.score for sample in agent.samples]).all()
