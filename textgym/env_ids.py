"""Environment ids as commands and algorithms take them: "MyTask-v0", or "my_module:MyTask-v0"."""

from __future__ import annotations

import importlib

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec


def spec_of(env_id: str) -> EnvSpec:
    """Return the spec of an id; of "module:ID" the module is imported first, which registers it.

    `gym.make` takes both forms, `gym.spec` does not.

    Raises:
        ImportError: There is no such module.
        gymnasium.error.UnregisteredEnv: There is no such id.
    """
    module, colon, name = env_id.rpartition(":")
    if colon:
        importlib.import_module(module)
    return gym.spec(name)
