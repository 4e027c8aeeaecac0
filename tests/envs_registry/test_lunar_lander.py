"""What is LunarLander's own: Box2D, and engines that are throttled."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import textgym  # noqa: F401
from textgym.envs_registry import lunar_lander
from textgym.wrappers import feedback_env


def test_without_box2d_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object, **kwargs: object) -> None:
        raise gym.error.DependencyNotInstalled("Box2D is not installed")

    monkeypatch.setattr(feedback_env.gym, "make", missing)
    with pytest.raises(ImportError, match=r"needs Box2D: `pip install textgym\[box2d\]`"):
        lunar_lander.LunarLanderEnv()


def test_continuous_engines() -> None:
    pytest.importorskip("Box2D", reason="needs textgym[box2d]")
    env = gym.make("RLHF-LunarLander-v0", continuous=True, segment_length=3)
    assert isinstance(env.action_space, spaces.Box)
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.array([0.5, -0.5], dtype=np.float32))
    (segment,) = env.get_wrapper_attr("feedback").pool.all()
    assert segment.actions.tolist() == [[0.5, -0.5]] * 3
    assert segment.true_rewards.any()
