"""Which actions are allowed, in the observation: where TorchRL, RLlib and Tianshou look for it.

Shape letters: N rows, L width, A actions.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from textgym.env_parts import EnvParts
from textgym.wrappers.final_observations import with_final

KEYS = ("observation", "action_mask")


class ActionMaskObservation(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Observations become `{"observation": what it was, "action_mask": (A,) int8}`, 1 = allowed.

    Tianshou looks for the keys ("obs", "mask"), RLlib's examples for ("observations",
    "action_mask"). Where an episode has ended nothing is chosen, and all is allowed.
    """

    def __init__(self, env: gym.Env, keys: tuple[str, str] = KEYS) -> None:
        """Wrap a text environment, its observations changed by other wrappers or not.

        Args:
            env: The environment.
            keys: Of the observation and of the mask, two different names.

        Raises:
            ValueError: Another environment, or other keys.
        """
        gym.utils.RecordConstructorArgs.__init__(self, keys=keys)
        gym.Wrapper.__init__(self, env)
        self._core: Any = _checked(env, keys)
        self._keys = keys
        self.observation_space = _space(env.observation_space, env.action_space, keys)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode; see the wrapped environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._masked(observation, is_over=False), info

    def step(self, action: Any) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Act; see the wrapped environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        masked = self._masked(observation, is_over=bool(terminated or truncated))
        return masked, reward, terminated, truncated, info

    def _masked(self, observation: Any, *, is_over: bool) -> dict[str, Any]:
        mask = self._core.action_masks().astype(np.int8) | np.int8(is_over)
        return dict(zip(self._keys, (observation, mask), strict=True))


class VectorActionMaskObservation(gym.vector.VectorWrapper):
    """Observations become `{"observation": (N, ...), "action_mask": (N, A) int8}`.

    Each row is what `ActionMaskObservation` makes of it, `final_obs` too.
    """

    def __init__(self, env: gym.vector.VectorEnv, keys: tuple[str, str] = KEYS) -> None:
        """Wrap a vector text environment; see `ActionMaskObservation`.

        Raises:
            ValueError: Another environment, or other keys.
        """
        super().__init__(env)
        self._core: Any = _checked(env, keys)
        self._keys = keys
        inner = env.single_observation_space
        self.single_observation_space = _space(inner, env.single_action_space, keys)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin episodes; see the wrapped environment."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._masked(observations, self._masks()), infos

    def step(
        self, actions: Any
    ) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act in every row; see the wrapped environment."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        masks = self._masks()
        is_over = np.asarray(terminated) | np.asarray(truncated)
        if "_final_obs" in infos:  # another episode has begun there
            is_over = is_over & ~infos["_final_obs"]
        masks[is_over] = 1
        free = np.ones(masks.shape[1], dtype=np.int8)
        infos = with_final(infos, lambda row, last: self._masked(last, free.copy()))
        return self._masked(observations, masks), rewards, terminated, truncated, infos

    def _masks(self) -> np.ndarray:
        return self._core.action_masks().astype(np.int8)

    def _masked(self, observation: Any, mask: np.ndarray) -> dict[str, Any]:
        return dict(zip(self._keys, (observation, mask), strict=True))


def _checked(env: Any, keys: tuple[str, str]) -> EnvParts:
    if not isinstance(env.unwrapped, EnvParts):
        raise ValueError(
            f"expected a text environment (TokenEnv, TokenVectorEnv), got {env.unwrapped!r}"
        )
    if len(keys) != 2 or len(set(keys)) != 2 or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"keys must be two different names such as {KEYS}, got {keys!r}")
    return env.unwrapped


def _space(inner: gym.Space, actions: gym.Space, keys: tuple[str, str]) -> spaces.Dict:
    if not isinstance(actions, spaces.Discrete):
        raise ValueError(f"a mask is of Discrete actions, got {actions}")
    mask = spaces.Box(0, 1, (int(actions.n),), np.int8)
    return spaces.Dict(dict(zip(keys, (inner, mask), strict=True)))
