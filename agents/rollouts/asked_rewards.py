"""The rewards of an environment that somebody is asked for: found, and told who acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from textgym.agents.policies.fingerprint import weights_fingerprint
from textgym.agents.policies.transformer_policy import TransformerPolicy
from textgym.agents.rollouts.vec_env_adapter import TextVecEnv
from textgym.rewards.base import SavedReward


def saved_rewards(env: VecEnv) -> list[SavedReward]:
    """Return the rewards of an environment that have a state: one, or one for each row."""
    inner = env.unwrapped
    cores: Sequence[Any] = ()
    if isinstance(inner, TextVecEnv) and inner.is_native:
        cores = [inner.env.unwrapped]
    elif isinstance(inner, DummyVecEnv):
        cores = [one.unwrapped for one in inner.envs]
    rewards = [core.task.reward for core in cores if hasattr(core, "task")]
    return [reward for reward in rewards if isinstance(reward, SavedReward)]


def tell_policy(env: VecEnv, policy: TransformerPolicy) -> None:
    """Say which policy acts from now on, and how it samples: it goes into the records."""
    rewards = saved_rewards(env)
    if rewards:
        fingerprint = weights_fingerprint(policy.language_model)
        for reward in rewards:
            reward.note_policy(fingerprint, {"temperature": policy.temperature})
