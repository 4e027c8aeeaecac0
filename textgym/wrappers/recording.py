"""Episodes as lines of JSON: what was asked, done, paid and said of it, for later.

Shape letter: N rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from textgym.env_parts import EnvParts
from textgym.vector_info import row_info_of

# Of infos: whole vocabularies of zeros and ones, at every step.
LEFT_OUT = ("action_mask", "final_obs", "final_info")


class RecordEpisodes(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Writes each finished episode to a file, one JSON object in a line.

    Of any environment it has "episode" (its number, from 0), "row", "actions", "rewards",
    "terminated", "truncated", and what the infos of the reset and of the last step hold: of text
    environments `prompt`, `response`, `response_ids`, `score`, `gold_score`, `reward_terms` and the
    rest of docs/environment.md. A reward that is a vector is a list. Numbers that JSON does not
    have (NaN, infinities) are null. An episode that never ends is never written.
    """

    def __init__(self, env: gym.Env, path: str | Path, *, append: bool = False) -> None:
        """Wrap an environment.

        Args:
            env: Any single environment.
            path: The file; its folder exists.
            append: Whether to go on where there is a file.

        Raises:
            FileExistsError: There is one, and `append` is False.
            FileNotFoundError: There is no such folder.
        """
        gym.utils.RecordConstructorArgs.__init__(self, path=str(path), append=append)
        gym.Wrapper.__init__(self, env)
        self._file = _EpisodeFile(path, append=append)
        self._open: dict[str, Any] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; see the wrapped environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._open = _begun(info)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Act; see the wrapped environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        _note(self._open, action, reward)
        if terminated or truncated:
            self._file.write(self._open, 0, terminated, truncated, info)
        return observation, reward, terminated, truncated, info


class VectorRecordEpisodes(gym.vector.VectorWrapper):
    """Writes each finished episode of N rows to one file, in the order in which they end."""

    def __init__(
        self, env: gym.vector.VectorEnv, path: str | Path, *, append: bool = False
    ) -> None:
        """Wrap a vector environment; see `RecordEpisodes`.

        Raises:
            ValueError: Rewards are withheld, so that none could be recorded.
            FileExistsError: There is a file, and `append` is False.
            FileNotFoundError: There is no such folder.
        """
        super().__init__(env)
        timing = getattr(env.unwrapped, "reward_timing", "step")
        if timing != "step":
            raise ValueError(f"expected reward_timing 'step', got {timing!r}")
        self._file = _EpisodeFile(path, append=append)
        self._mode = AutoresetMode(env.metadata["autoreset_mode"])
        self._open: list[dict[str, Any] | None] = [None] * env.num_envs

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes; see the wrapped environment."""
        observations, infos = self.env.reset(seed=seed, options=options)
        mask = (options or {}).get("reset_mask")
        for row in range(self.env.num_envs):
            if mask is None or mask[row]:
                self._open[row] = _begun(row_info_of(infos, row))
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act in every row; see the wrapped environment."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        ended = np.asarray(terminated) | np.asarray(truncated)
        begun = self._begun(ended, infos)
        is_same_step = self._mode is AutoresetMode.SAME_STEP
        last = infos.get("final_info", {}) if is_same_step else infos
        for row, episode in enumerate(self._open):
            if episode is not None:
                _note(episode, actions[row], rewards[row])
                if ended[row]:
                    own = row_info_of(last, row)
                    self._file.write(episode, row, terminated[row], truncated[row], own)
                    self._open[row] = None
            if begun[row]:
                self._open[row] = _begun(row_info_of(infos, row))
        return observations, rewards, terminated, truncated, infos

    def _begun(self, ended: np.ndarray, infos: Mapping[str, Any]) -> np.ndarray:
        """Return (N,) bool, the rows whose next episode this step has begun."""
        nobody = np.zeros(self.env.num_envs, dtype=bool)
        if isinstance(self.env.unwrapped, EnvParts):  # where rows wait for their group, later
            return np.asarray(infos.get("_prompt", nobody))
        if self._mode is AutoresetMode.SAME_STEP:
            return ended
        if self._mode is AutoresetMode.NEXT_STEP:
            return np.array([episode is None for episode in self._open])
        return nobody


class _EpisodeFile:
    """The file, opened for each line: whatever happens next, what is written is there."""

    def __init__(self, path: str | Path, *, append: bool) -> None:
        self._path = Path(path)
        if not self._path.resolve().parent.is_dir():
            raise FileNotFoundError(f"expected the folder of {str(path)!r} to exist")
        if self._path.exists() and not append:
            raise FileExistsError(f"expected no file {str(path)!r}; append=True goes on with it")
        self._count = 0
        if self._path.exists():
            with self._path.open(encoding="utf-8") as file:
                self._count = sum(1 for _ in file)

    def write(
        self, episode: dict[str, Any], row: int, terminated: Any, truncated: Any, info: Any
    ) -> None:
        """Write one finished episode."""
        line = {
            "episode": self._count,
            "row": row,
            **episode,
            "terminated": bool(terminated),
            "truncated": bool(truncated),
            **_plain_info(info),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self._count += 1


def _begun(info: Mapping[str, Any]) -> dict[str, Any]:
    return {**_plain_info(info), "actions": [], "rewards": []}


def _note(episode: dict[str, Any], action: Any, reward: Any) -> None:
    episode["actions"].append(_plain(action))
    episode["rewards"].append(_plain(np.asarray(reward, dtype=np.float64)))


def _plain_info(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in info.items() if key not in LEFT_OUT}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what it has no form for as its `str`."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
