"""PPO's settings for control environments, and how long each is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ControlSettings:
    """How stock PPO is used on one environment.

    Attributes:
        total_steps: Steps of a run.
        num_envs: Rows.
        ppo: Arguments of Stable-Baselines3's PPO.
    """

    total_steps: int
    num_envs: int = 8
    ppo: Mapping[str, Any] = field(default_factory=dict)


DEFAULT = ControlSettings(total_steps=100_000, ppo={"n_steps": 128, "batch_size": 64})
BY_NAME = {
    "CartPole": ControlSettings(total_steps=80_000, ppo={"n_steps": 128, "batch_size": 64}),
    "LunarLander": ControlSettings(
        total_steps=1_000_000,
        num_envs=16,
        ppo={
            "n_steps": 1024,
            "batch_size": 64,
            "n_epochs": 4,
            "gae_lambda": 0.98,
            "gamma": 0.999,
            "ent_coef": 0.01,
        },
    ),
}


def settings_for(env_id: str) -> ControlSettings:
    """Return the settings of the known environment that the id names, else general ones."""
    return next((found for name, found in BY_NAME.items() if name in env_id), DEFAULT)
