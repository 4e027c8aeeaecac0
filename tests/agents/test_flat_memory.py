"""A long run takes no more memory than a short one: 2,000 vector steps by hand and by `learn`."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

from textgym.agents import PPO

MakeEnv = Callable[..., Any]
ROWS, STEPS = 4, 2000
# Rollouts alternate by one tensor that the next step drops: the least of five is what is kept.
EARLY, LATE = range(600, 1001, 100), range(1600, STEPS + 1, 100)
# Between the middle and the end of a run. A number kept per row and step would be 128 KiB.
ALLOWED_BYTES = 64 * 1024


def held() -> tuple[int, int]:
    """Bytes of Python objects and NumPy arrays, and the number of living tensors."""
    gc.collect()
    tensors = sum(issubclass(type(found), th.Tensor) for found in gc.get_objects())
    return tracemalloc.get_traced_memory()[0], tensors


@pytest.fixture
def traced() -> Any:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("timing", ["step", "deferred"])
def test_predict_and_step_hold_nothing_back(
    make_text_env: MakeEnv, traced: None, timing: str
) -> None:
    envs = make_text_env(num_envs=ROWS)
    agent = PPO("TransformerPolicy", envs, n_steps=8, seed=0)
    envs.set_reward_timing(timing)
    obs, _ = envs.reset(seed=0)
    state, starts, marks = None, np.ones(ROWS, bool), []
    for step in range(STEPS):
        actions, state = agent.predict(obs, state=state, episode_start=starts)
        obs, _, terminated, truncated, _ = envs.step(actions)
        starts = terminated | truncated
        # What is withheld is held until it is settled, and no longer.
        if timing == "deferred" and step % 100 == 99:
            envs.settle_rewards()
        if step in (STEPS // 2 - 1, STEPS - 1):
            marks.append(held())
    (middle, tensors), (end, tensors_at_end) = marks
    assert end - middle < ALLOWED_BYTES
    assert tensors_at_end <= tensors


class Marks(BaseCallback):
    """Notes what is held when a rollout begins, before the middle and before the end."""

    def __init__(self) -> None:
        """Start without any."""
        super().__init__()
        self.seen: dict[int, tuple[int, int]] = {}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        step = self.num_timesteps // ROWS
        if step in (*EARLY, *LATE):
            self.seen[step] = held()


def test_learning_holds_nothing_back(make_text_env: MakeEnv, traced: None) -> None:
    envs = make_text_env(num_envs=ROWS)
    agent = PPO("TransformerPolicy", envs, n_steps=50, n_epochs=1, seed=0)
    marks = Marks()
    agent.learn((STEPS + 50) * ROWS, callback=marks)
    middle, end = marks.seen[STEPS // 2][0], marks.seen[STEPS][0]
    assert end - middle < ALLOWED_BYTES
    early, late = (min(marks.seen[step][1] for step in steps) for steps in (EARLY, LATE))
    assert late <= early
