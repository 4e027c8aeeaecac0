"""The callback: whole episodes of a rollout, logged shares, and the first ring only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback

import textgym  # noqa: F401
from textgym.agents.evaluation.alarm_callback import AlarmCallback
from textgym.agents.evaluation.alarms import AlarmConfig, Alarms
from textgym.agents.ppo import PPO
from textgym.rollout import rollout


class Logged(BaseCallback):
    """Names that were recorded when a rollout ended."""

    names: frozenset[str] = frozenset()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.names = frozenset(self.logger.name_to_value)


def test_reads_every_rollout_and_warns_once(make_text_env: Callable[..., Any]) -> None:
    env = make_text_env(max_new_tokens=4)
    known = rollout(env, None, 40, seed=0)
    alarms = Alarms(known, AlarmConfig(min_episodes=2))
    alarms.thresholds["length"] = (-np.inf, 0.0)  # every response is too long
    callback = AlarmCallback(alarms, max_episodes=5)
    logged = Logged()
    agent = PPO("TransformerPolicy", env, n_steps=8, seed=0, device="cpu")
    with pytest.warns(RuntimeWarning, match="alarm 'length' after 48 tokens: 100%") as caught:
        agent.learn(96, callback=[callback, logged])
    assert sum("alarm 'length'" in str(one.message) for one in caught) == 1
    assert callback.first_rings["length"] == 48
    assert callback.readings["length"].share == 1
    assert {"alarms/length", "alarms/length_share", "alarms/ref_perplexity"} <= logged.names
    assert all(e.ref_log_probs and e.score is not None for e in callback.episodes)


def test_single_environments_have_no_whole_episodes(make_text_env: Callable[..., Any]) -> None:
    known = rollout(make_text_env(max_new_tokens=4), None, 20, seed=0)
    env = gym.make("Probe-ExactKL-v0")
    with pytest.raises(ValueError, match="make the environment by its id"):
        PPO("TransformerPolicy", env, n_steps=4, device="cpu").learn(
            4, callback=AlarmCallback(Alarms(known))
        )


def test_no_episodes_to_measure_is_refused(make_text_env: Callable[..., Any]) -> None:
    known = rollout(make_text_env(max_new_tokens=4), None, 20, seed=0)
    with pytest.raises(ValueError, match="max_episodes must be at least 1, got 0"):
        AlarmCallback(Alarms(known), max_episodes=0)
