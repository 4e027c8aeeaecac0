"""Puts the prompt's length into the observation, which makes it Markov for any separator.

Shape letters: N rows, L width.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from textgym.wrappers.final_observations import with_final

TOKENS = "tokens"
PROMPT_LENGTH = "prompt_length"


class PromptLengthObservation(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Observations become `{"tokens": (L,) int64, "prompt_length": (1,) int64}`."""

    def __init__(self, env: gym.Env) -> None:
        """Wrap a text environment."""
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        core: Any = env.unwrapped
        self.observation_space = _space(env.observation_space, core.max_prompt_tokens)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin an episode; see the wrapped environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return _with_length(observation, info[PROMPT_LENGTH]), info

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], Any, bool, bool, dict[str, Any]]:
        """Write one token; see the wrapped environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        observation = _with_length(observation, info[PROMPT_LENGTH])
        return observation, reward, terminated, truncated, info


class VectorPromptLengthObservation(gym.vector.VectorWrapper):
    """Observations become `{"tokens": (N, L) int64, "prompt_length": (N, 1) int64}`."""

    def __init__(self, env: gym.vector.VectorEnv) -> None:
        """Wrap a vector text environment."""
        super().__init__(env)
        core: Any = env.unwrapped
        single = _space(env.single_observation_space, core.max_prompt_tokens)
        self.single_observation_space = single
        self.observation_space = batch_space(single, env.num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin episodes; see the wrapped environment."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._batch(observations), infos

    def step(
        self, actions: Any
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Write one token per row; `final_obs` gets the same form."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        lengths = infos.get("final_info", {}).get(PROMPT_LENGTH)
        infos = with_final(infos, lambda row, tokens: _with_length(tokens, lengths[row]))
        return self._batch(observations), rewards, terminated, truncated, infos

    def _batch(self, observations: np.ndarray) -> dict[str, np.ndarray]:
        core: Any = self.env.unwrapped
        return {TOKENS: observations, PROMPT_LENGTH: core.prompt_lengths[:, None]}


def _space(tokens: gym.Space, max_prompt_tokens: int) -> spaces.Dict:
    length = spaces.Box(1, max_prompt_tokens, (1,), np.int64)
    return spaces.Dict({TOKENS: tokens, PROMPT_LENGTH: length})


def _with_length(tokens: np.ndarray, prompt_length: Any) -> dict[str, np.ndarray]:
    return {TOKENS: tokens, PROMPT_LENGTH: np.array([prompt_length], dtype=np.int64)}
