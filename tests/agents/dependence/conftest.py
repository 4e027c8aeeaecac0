"""A text environment with a gold utility and a tiny random model, in which agents train fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym.agents.dependence.plan import DependenceConfig
from textgym.config import TextEnvConfig
from textgym.prompts import PromptList
from textgym.task import TextTask
from textgym.task_models import text_task
from textgym.types import Episode
from textgym.vector_env import TokenVectorEnv


class EvenShare:
    """The share of even token ids."""

    name = "gold"

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        return np.array(
            [np.mean([i % 2 == 0 for i in e.response_ids]) for e in episodes], dtype=np.float32
        )


def build_task(config: TextEnvConfig) -> TextTask:
    words = ["money", "home", "trip", "house", "dog", "friend", "sister", "brother"]
    prompts = [f"my {config.split} said {word}.\n\nTL;DR:" for word in words]
    return text_task(config, prompts=PromptList(prompts[: config.num_prompts]), gold=EvenShare())


class TinyVectorEnv(TokenVectorEnv):
    """The vector environment."""

    task_builder = staticmethod(build_task)


@pytest.fixture
def tiny_config(
    monkeypatch: pytest.MonkeyPatch, tiny_model_folder: Path
) -> Callable[..., DependenceConfig]:
    """Return `make(**changes)`: a study of a few seconds."""
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    gym.register(id="EvenShare-v0", vector_entry_point=lambda **kwargs: TinyVectorEnv(**kwargs))
    assert textgym.__version__

    def make(**changes: Any) -> DependenceConfig:
        small = {
            "env_id": "EvenShare-v0",
            "env_kwargs": {
                "reference_model": str(tiny_model_folder),
                "max_prompt_tokens": 24,
                "max_new_tokens": 6,
                "action_tokens": "2,40-47",
                "temperature": 4.0,  # the end token often: lengths differ
                "device": "cpu",
                "kl_coef": 0.0,
            },
            "n_steps": 256,
            "learning_rate": 0.01,
            "n_envs": 8,
            "rollout_steps": 8,
            "n_train_prompts": 4,
            "n_prompts": 8,
            "biases": (0.0, 2.0),
            "budgets": (10.0,),
            "dropouts": (0.25,),
        }
        return DependenceConfig(**{**small, **changes})

    return make
