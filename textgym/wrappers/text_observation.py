"""Text instead of token ids: for people, for models behind an API, for agents with their own eyes.

Shape letters: N rows, L width.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space

from textgym.env_parts import EnvParts
from textgym.wrappers.final_observations import with_final
from textgym.wrappers.text_space import AnyText


class TextObservation(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Observations become the decoded prompt and response so far, one text.

    Several token sequences may have one text, and special tokens are left out: what an agent needs
    of them is lost to it. `AsyncVectorEnv` needs `shared_memory=False`.
    """

    def __init__(self, env: gym.Env) -> None:
        """Wrap a text environment.

        Raises:
            ValueError: Another environment, or one whose observations are no token ids any more.
        """
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self._core = text_core(env, env.observation_space)
        self.observation_space = AnyText(_width(env.observation_space))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Begin an episode; see the wrapped environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return shown_text(self._core, observation), info

    def step(self, action: Any) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        """Act; see the wrapped environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return shown_text(self._core, observation), reward, terminated, truncated, info


class VectorTextObservation(gym.vector.VectorWrapper):
    """Observations become a tuple of N texts, `final_obs` texts too."""

    def __init__(self, env: gym.vector.VectorEnv) -> None:
        """Wrap a vector text environment.

        Raises:
            ValueError: Another environment, or one whose observations are no token ids any more.
        """
        super().__init__(env)
        self._core = text_core(env, env.single_observation_space)
        self.single_observation_space = AnyText(_width(env.single_observation_space))
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Begin episodes; see the wrapped environment."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._texts(observations), infos

    def step(
        self, actions: Any
    ) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act in every row; see the wrapped environment."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        infos = with_final(infos, lambda row, ids: shown_text(self._core, ids))
        return self._texts(observations), rewards, terminated, truncated, infos

    def _texts(self, observations: np.ndarray) -> tuple[str, ...]:
        return tuple(shown_text(self._core, ids) for ids in observations)


def text_core(env: Any, observations: gym.Space) -> EnvParts:
    """Return the unwrapped text environment whose token ids a wrapper sees.

    Raises:
        ValueError: Another environment, or observations that a wrapper inside has changed.
    """
    core = env.unwrapped
    if not isinstance(core, EnvParts):
        raise ValueError(f"expected a text environment (TokenEnv, TokenVectorEnv), got {core!r}")
    is_ids = isinstance(observations, gym.spaces.Box) and observations.dtype == np.int64
    if not is_ids:
        raise ValueError(f"expected token ids, Box(0, V, (L,), int64), got {observations}")
    return core


def shown_text(core: EnvParts, ids: np.ndarray) -> str:
    """Return the text of token ids (L,), empty cells left out."""
    return core.tokenizer.decode(ids[ids < core.vocab_size].tolist())


def _width(space: gym.Space) -> int:
    assert space.shape is not None, "a Box has a shape"
    return int(space.shape[0])
