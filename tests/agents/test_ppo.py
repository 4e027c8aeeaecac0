"""PPO: SB3's update over packed segments, presets, defaults."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
import torch as th
from stable_baselines3.common.vec_env import DummyVecEnv

from textgym.agents import A2C, PPO, LearningRate, TransformerPolicy, as_vec_env
from textgym.agents.learning_rate import default_learning_rate
from textgym.agents.policies.model_building import model_kind
from textgym.agents.presets import FROM_PRESET, PPO_PRESETS, resolved

MakeEnv = Callable[..., Any]


def naive_losses(agent: PPO) -> dict[str, float]:
    """PPO's losses step by step: one full forward per state, as SB3's dense buffer would have."""
    buffer, log_ratios, advantages, errors, entropies = agent.rollout_buffer, [], [], [], []
    for index, (row, start, stop, _) in enumerate(buffer.segments):
        ids = buffer.ids[buffer.offsets[index] : buffer.offsets[index + 1]]
        for step in range(start, stop):
            state = th.tensor(ids[: buffer.positions[row, step]].astype(np.int64)).unsqueeze(0)
            out = agent.policy.language_model(input_ids=state, output_hidden_states=True)
            log_probs = th.log_softmax(out.logits[0, -1], 0)
            value = agent.policy.value_head(out.hidden_states[-1][0, -1]).item()
            advantage = buffer.advantages[row, step]
            log_ratios.append(
                log_probs[buffer.actions[row, step]].item() - buffer.log_probs[row, step]
            )
            advantages.append(advantage)
            errors.append(advantage + buffer.step_values[row, step] - value)
            entropies.append(float(-(log_probs.exp() * log_probs).sum()))
    normalised = (np.array(advantages) - np.mean(advantages)) / (np.std(advantages, ddof=1) + 1e-8)
    ratios = np.exp(log_ratios)
    clipped = np.minimum(normalised * ratios, normalised * np.clip(ratios, 0.8, 1.2))
    return {
        "train/policy_gradient_loss": -clipped.mean(),
        "train/value_loss": np.square(errors).mean(),
        "train/entropy_loss": -np.mean(entropies),
        "train/approx_kl": (ratios - 1 - np.array(log_ratios)).mean(),
        "train/clip_fraction": (np.abs(ratios - 1) > 0.2).mean(),
    }


def test_sb3_train_equals_naive_steps(make_text_env: MakeEnv) -> None:
    agent = PPO(
        "TransformerPolicy", make_text_env(), n_steps=8, batch_size=None, n_epochs=1, seed=0
    )
    agent.learn(1)
    # Weights move between acting and updating, so that ratios differ from 1.
    generator = th.Generator().manual_seed(0)
    with th.no_grad():
        for parameter in agent.policy.parameters():
            parameter.add_(0.01 * th.randn(parameter.shape, generator=generator))
        expected = naive_losses(agent)
    stable_baselines3.PPO.train(agent)
    for name, value in expected.items():
        got = agent.logger.name_to_value[name]
        assert got == pytest.approx(value, rel=1e-3, abs=1e-5), name
    assert expected["train/clip_fraction"] > 0


def test_defaults(make_text_env: MakeEnv) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent = PPO("TransformerPolicy", make_text_env())
    assert agent.n_steps == 12 and agent.gamma == 1.0 and agent.ent_coef == 0.0
    assert agent.policy.entropy == "report"
    assert agent.learning_rate == default_learning_rate("pretrained")
    assert PPO("TransformerPolicy", make_text_env(), ent_coef=0.1).policy.entropy == "gradient"
    scratch = PPO("TransformerPolicy", "Probe-ExactKL-v0", n_envs=2)
    assert scratch.n_envs == 2 and scratch.learning_rate == default_learning_rate("scratch")


def test_summarize_from_feedback_preset(tiny_reward_folder: Any) -> None:
    env = "Probe-ExactKL-v0"
    agent = PPO("TransformerPolicy", env, n_envs=4, preset="summarize-from-feedback", seed=0)
    core = agent.env.unwrapped.env
    assert (core.kl_coef, core.temperature) == (0.05, 0.7)
    assert core.config.missing_eos_score == -1.0
    assert agent.policy.temperature == 0.7 and agent.policy.value == "separate"
    assert agent.batch_size is None and agent.n_epochs == 4
    assert not agent.normalize_advantage and agent.rollout_buffer.advantage_norm == "rollout"
    assert agent.policy.optimizer.param_groups[0]["eps"] == 1e-5
    agent.learn(4 * 8 * 2)
    assert agent._n_updates == 8
    kept = PPO(
        "TransformerPolicy",
        env,
        n_envs=4,
        preset="summarize-from-feedback",
        temperature=None,
        env_kwargs={"missing_eos_score": None},
    )
    core = kept.env.unwrapped.env
    assert core.temperature == 1.0 and core.config.missing_eos_score is None


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_env_kwargs_of_a_made_environment_are_refused(
    algorithm: Any, make_text_env: Callable[..., Any]
) -> None:
    with pytest.raises(ValueError, match="'kl_coef': 0.1.*made already"):
        algorithm("TransformerPolicy", make_text_env(), env_kwargs={"kl_coef": 0.1})


def test_presets() -> None:
    given = {"gamma": 0.5, "kl_target": FROM_PRESET, "clip_range_vf": None, "n_envs": 7}
    got = resolved(PPO_PRESETS, "summarize-from-feedback", given)
    assert got.gamma == 0.5 and got.kl_target is None and got.clip_range_vf is None
    assert got.vf_coef == PPO_PRESETS["summarize-from-feedback"].vf_coef
    with pytest.raises(ValueError, match="'textgym'"):
        resolved(PPO_PRESETS, "sfd", {})


def test_learning_rate() -> None:
    rate = LearningRate(peak=1.0, warmup=0.2, final_fraction=0.5)
    assert [rate(left) for left in (1.0, 0.9, 0.8, 0.4, 0.0)] == pytest.approx(
        [0.1, 0.55, 1.0, 0.75, 0.5]
    )
    assert LearningRate(peak=2.0)(1.0) == LearningRate(peak=2.0)(0.0) == 2.0
    for numbers in (
        {"peak": 0.0},
        {"peak": 1.0, "warmup": 1.0},
        {"peak": 1.0, "final_fraction": 2},
    ):
        with pytest.raises(ValueError, match="must be"):
            LearningRate(**numbers)
    assert model_kind("scratch:layers=2") == "scratch" and model_kind("gpt2") == "pretrained"


@pytest.mark.parametrize("algorithm", [stable_baselines3.PPO, stable_baselines3.A2C])
def test_stock_algorithms_on_a_small_environment(algorithm: Any) -> None:
    env = as_vec_env("Probe-ExactKL-v0", num_envs=4, seed=0)
    agent = algorithm("MlpPolicy", env, n_steps=8, seed=0)
    agent.learn(64)
    assert agent.num_timesteps == 64 and len(agent.ep_info_buffer) > 0


def test_stock_ppo_with_our_policy() -> None:
    env = DummyVecEnv([lambda: gym.make("Probe-ExactKL-v0")] * 2)
    agent = stable_baselines3.PPO(
        TransformerPolicy,
        env,
        n_steps=16,
        batch_size=16,
        n_epochs=1,
        policy_kwargs={"model": "scratch:layers=1,width=16,heads=2", "seed": 0},
    )
    agent.learn(64)
    assert agent.num_timesteps == 64


def test_a2c_presets() -> None:
    agent = A2C("TransformerPolicy", "Probe-ExactKL-v0", n_envs=2)
    assert isinstance(agent.policy.optimizer, th.optim.Adam) and agent.n_steps == 8
    prop = A2C("TransformerPolicy", "Probe-ExactKL-v0", n_envs=2, use_rms_prop=True)
    assert isinstance(prop.policy.optimizer, th.optim.RMSprop)
    with pytest.raises(ValueError, match="preset"):
        A2C("TransformerPolicy", "Probe-ExactKL-v0", preset="summarize-from-feedback")
