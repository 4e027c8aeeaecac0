"""Algorithms of other libraries, unmodified, on small environments.

What each solves is a table of docs/plug-in.md, made by `python -m benchmarks.other_algorithms`; the
slow test here runs it.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env

import textgym  # noqa: F401

pytest.importorskip("sb3_contrib", reason="extra `algorithms`")

import sb3_contrib  # noqa: E402
import stable_baselines3  # noqa: E402

from benchmarks.other_algorithms import (  # noqa: E402
    SETTINGS,
    SOLVED,
    STEPS,
    make_env,
    run_once,
)
from textgym.wrappers import OneHotObservation  # noqa: E402

SMALL = (
    "Probe-ExactKL-v0",
    "Probe-DelayedCredit-v0",
    "Probe-IncreasingNumbers-v0",
    "Probe-ValueOnly-v0",
    "PromptBandit-v0",
    "TextMaze-v0",
)
TINY: dict[str, dict[str, Any]] = {
    "PPO": {"n_steps": 16, "batch_size": 32, "n_epochs": 1},
    "A2C": {"n_steps": 16},
    "DQN": {"learning_starts": 8, "buffer_size": 64, "batch_size": 8},
    "MaskablePPO": {"n_steps": 16, "batch_size": 32, "n_epochs": 1},
    "RecurrentPPO": {"n_steps": 16, "batch_size": 32, "n_epochs": 1},
    "TRPO": {"n_steps": 16, "batch_size": 32},
    "QRDQN": {"learning_starts": 8, "buffer_size": 64, "batch_size": 8},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("env_id", [*STEPS, *SMALL])
def test_learn_runs(name: str, env_id: str) -> None:
    library = stable_baselines3 if hasattr(stable_baselines3, name) else sb3_contrib
    masks = name == "MaskablePPO" and env_id.startswith("TextMaze")
    if masks:
        pytest.skip("tables have no masks: every action is allowed")
    envs = make_vec_env(lambda: make_env(env_id), n_envs=2, seed=0)
    agent = getattr(library, name)(SETTINGS[name].policy, envs, device="cpu", **TINY[name])
    agent.learn(32)
    actions, _ = agent.predict(envs.reset())
    assert all(envs.action_space.contains(action) for action in actions)


def test_ids_work_without_one_hot_too() -> None:
    agent = stable_baselines3.PPO(
        "MlpPolicy", gym.make("Probe-Copy-v0"), n_steps=16, batch_size=16, device="cpu"
    )
    assert agent.learn(16).num_timesteps == 16


def test_maskable_ppo_never_writes_what_is_masked() -> None:
    def make() -> gym.Env:
        return OneHotObservation(gym.make("Probe-ExactKL-v0", min_new_tokens=3))

    envs = make_vec_env(make, n_envs=4, seed=0)
    # A masked action raises in the environment, so learning is the test; sampled 400 times.
    agent = sb3_contrib.MaskablePPO("MlpPolicy", envs, n_steps=50, batch_size=50, device="cpu")
    agent.learn(400)
    masks = np.stack(envs.env_method("action_masks"))
    actions, _ = agent.predict(envs.reset(), action_masks=masks)
    assert masks[np.arange(4), actions].all()


def test_ppo_solves_constant() -> None:
    run = run_once("PPO", "Probe-Constant-v0", steps=3_000)
    assert run.score >= SOLVED


@pytest.mark.slow
@pytest.mark.parametrize("env_id", STEPS)
@pytest.mark.parametrize("name", SETTINGS)
def test_solves(name: str, env_id: str) -> None:
    assert run_once(name, env_id).score >= SOLVED


def test_torchrl_specs() -> None:
    pytest.importorskip("torchrl", reason="extra `algorithms`")
    from torchrl.envs import GymEnv, GymWrapper
    from torchrl.envs.utils import check_env_specs

    for env_id in ("Probe-Copy-v0", "Probe-ExactKL-v0", "PromptBandit-v0", "TwoState-v0"):
        check_env_specs(GymEnv(env_id))
    check_env_specs(GymWrapper(OneHotObservation(gym.make("TextMaze-v0"))))


def test_a_tianshou_collector_collects_what_the_environment_pays() -> None:
    pytest.importorskip("tianshou", reason="extra `algorithms`")
    from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.utils.net.common import Net

    for env_id in ("Probe-Copy-v0", "Probe-ExactKL-v0"):
        env = make_env(env_id)
        net = Net(
            state_shape=env.observation_space.shape,
            action_shape=env.action_space.n,
            hidden_sizes=[8],
        )
        policy = DiscreteQLearningPolicy(model=net, action_space=env.action_space, eps_training=1.0)
        envs = DummyVectorEnv([lambda env_id=env_id: make_env(env_id)] * 3)
        buffer = VectorReplayBuffer(600, 3)
        collector = Collector(policy, envs, buffer, exploration_noise=True)
        collector.reset()
        stats = collector.collect(n_episode=30)
        assert stats.returns.shape == (30,)
        batch = buffer.sample(0)[0]
        assert batch.terminated.sum() == 30 and not batch.truncated.any()
        assert batch.rew.sum() == pytest.approx(stats.returns.sum(), abs=1e-4)
