"""Token ids as one-hot vectors: what a plain network needs of a small vocabulary.

Shape letters: N rows, L width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from textgym.wrappers.final_observations import with_final

MAX_NUMBERS = 65_536


class OneHotObservation(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Observations become (L * (V + 1),) float32, one number of each V + 1 is 1.

    The last of them stands for an empty cell. A network that is given the ids themselves would take
    token 4 for twice token 2.
    """

    def __init__(self, env: gym.Env) -> None:
        """Wrap an environment whose observations are token ids.

        Raises:
            ValueError: Observations of another kind, or more than 65,536 numbers.
        """
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self._num_ids = _num_ids(env.observation_space)
        self.observation_space = _space(env.observation_space, self._num_ids)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; see the wrapped environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return one_hot(observation, self._num_ids), info

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Act; see the wrapped environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return one_hot(observation, self._num_ids), reward, terminated, truncated, info


class VectorOneHotObservation(gym.vector.VectorWrapper):
    """Observations become (N, L * (V + 1)) float32, `final_obs` too."""

    def __init__(self, env: gym.vector.VectorEnv) -> None:
        """Wrap a vector environment whose observations are token ids.

        Raises:
            ValueError: Observations of another kind, or more than 65,536 numbers a row.
        """
        super().__init__(env)
        self._num_ids = _num_ids(env.single_observation_space)
        self.single_observation_space = _space(env.single_observation_space, self._num_ids)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin episodes; see the wrapped environment."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return one_hot(observations, self._num_ids), infos

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act in every row; see the wrapped environment."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        infos = with_final(infos, lambda row, ids: one_hot(ids, self._num_ids))
        return one_hot(observations, self._num_ids), rewards, terminated, truncated, infos


def one_hot(ids: np.ndarray, num_ids: int) -> np.ndarray:
    """Return ids (..., L) as (..., L * num_ids) float32."""
    return np.eye(num_ids, dtype=np.float32)[ids].reshape(*ids.shape[:-1], -1)


def _num_ids(space: gym.Space) -> int:
    """Return V + 1, the empty cell included."""
    if not isinstance(space, spaces.Box) or space.dtype != np.int64 or len(space.shape) != 1:
        raise ValueError(f"expected token ids, Box(0, V, (L,), int64), got {space}")
    num_ids = int(space.high.max()) + 1
    if (size := num_ids * space.shape[0]) > MAX_NUMBERS:
        raise ValueError(
            f"one-hot observations are for small vocabularies: expected at most {MAX_NUMBERS} "
            f"numbers, got {size} ({space.shape[0]} cells of {num_ids})"
        )
    return num_ids


def _space(space: gym.Space, num_ids: int) -> spaces.Box:
    assert space.shape is not None, "checked by _num_ids"
    return spaces.Box(0.0, 1.0, (space.shape[0] * num_ids,), np.float32)
