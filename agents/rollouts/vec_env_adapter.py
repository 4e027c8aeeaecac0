"""Gymnasium vector environments as Stable-Baselines3 `VecEnv`s. Shape letter: N environments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnv,
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from textgym.env_ids import spec_of

DEFAULT_NUM_ENVS = 64
# Of a native vector environment these attributes and results have one entry per row.
PER_ROW = frozenset({"prompt_lengths", "action_masks", "is_waiting", "np_random"})


@runtime_checkable
class SettlesRewards(Protocol):
    """A vector environment that can withhold rewards and pay them later in one batch."""

    reward_timing: str
    settled_episodes: Sequence[Any]

    def set_reward_timing(self, timing: str) -> None:
        """Switch between "step" and "deferred"."""
        ...

    def settle_rewards(self) -> np.ndarray:
        """Return the (steps, N) float32 rewards withheld since the last call."""
        ...


class TextVecEnv(VecEnv):
    """A Gymnasium `VectorEnv` in SAME_STEP mode, seen as an SB3 `VecEnv`.

    Infos follow SB3: a row that ended carries its final info, `terminal_observation`,
    `TimeLimit.truncated` and (unless rewards are deferred) `episode` with return, length and time,
    as SB3's `Monitor` gives them. The info of the reset that follows lies in `reset_infos`.

    Args:
        env: The vector environment, wrapped or not.

    Raises:
        ValueError: The environment resets in another mode than SAME_STEP.
    """

    def __init__(self, env: VectorEnv) -> None:
        """Wrap the environment; see the class."""
        mode = _autoreset_mode(env)
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(
                f"expected a vector environment with autoreset_mode 'SameStep', got {mode!r}: "
                "after an end the observation must be the next episode's first"
            )
        self.env = env
        self._actions: np.ndarray | None = None
        self._returns = np.zeros(env.num_envs, np.float64)
        self._lengths = np.zeros(env.num_envs, np.int64)
        self._started = time.time()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        """Reset all rows with the seeds and options that were set, and return (N, ...)."""
        seeds = None if all(seed is None for seed in self._seeds) else self._seeds
        options = _merged_options(self._options)
        obs, info = self.env.reset(seed=seeds, options=options)  # type: ignore[arg-type]
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0
        self._lengths[:] = 0
        self.reset_infos = _rows_of(info, self.num_envs)
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions, (N,)."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all rows; see the class for the infos."""
        obs, rewards, terminated, truncated, info = self.env.step(self._actions)
        dones = np.asarray(terminated) | np.asarray(truncated)
        final_obs, final_info = info.pop("final_obs", None), info.pop("final_info", {})
        info.pop("_final_obs", None), info.pop("_final_info", None)
        rows = _rows_of(info, self.num_envs)
        self._returns += rewards
        self._lengths += 1
        if dones.any():
            finals = _rows_of(final_info, self.num_envs)
            for row in np.flatnonzero(dones):
                self._end_row(int(row), rows, finals[row], final_obs)
                rows[row]["TimeLimit.truncated"] = bool(truncated[row] and not terminated[row])
        return obs, np.asarray(rewards, np.float32), dones, rows

    def _end_row(
        self, row: int, rows: list[dict[str, Any]], final: dict[str, Any], final_obs: Any
    ) -> None:
        # RecordEpisodeStatistics puts its numbers beside, not into, the final info.
        counted = rows[row].pop("episode", None)
        self.reset_infos[row] = rows[row]
        rows[row] = final
        if counted is not None:
            rows[row]["episode"] = counted
        elif "episode" not in final and not self.is_deferred:
            rows[row]["episode"] = {
                "r": float(self._returns[row]),
                "l": int(self._lengths[row]),
                "t": round(time.time() - self._started, 6),
            }
        if final_obs is not None:
            rows[row]["terminal_observation"] = final_obs[row]
        self._returns[row] = 0
        self._lengths[row] = 0

    @property
    def is_native(self) -> bool:
        """Whether one object steps all rows, rather than one environment each."""
        return not isinstance(self.env.unwrapped, SyncVectorEnv | AsyncVectorEnv)

    @property
    def is_deferred(self) -> bool:
        """Whether rewards are withheld at the moment."""
        env = self.env.unwrapped
        return isinstance(env, SettlesRewards) and env.reward_timing == "deferred"

    @property
    def settling(self) -> SettlesRewards | None:
        """The environment to defer rewards in, None where they have to come by step.

        A wrapper in between could change rewards on the way, which only step timing shows.
        """
        env = self.env.unwrapped
        return env if self.env is env and isinstance(env, SettlesRewards) else None

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Read an attribute of the rows asked for."""
        env = self.env.unwrapped
        if isinstance(env, SyncVectorEnv | AsyncVectorEnv):
            return self._chosen(env.get_attr(attr_name), indices)
        return self._per_row(attr_name, self._find(attr_name), indices)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute; a native vector environment shares it over all rows.

        Raises:
            ValueError: `indices` names some rows only of a native vector environment.
        """
        env = self.env.unwrapped
        chosen = list(self._get_indices(indices))
        if isinstance(env, SyncVectorEnv | AsyncVectorEnv):
            values = list(env.get_attr(attr_name))
            for index in chosen:
                values[index] = value
            env.set_attr(attr_name, values)
        elif len(chosen) == self.num_envs:
            setattr(env, attr_name, value)
        else:
            raise ValueError(f"{attr_name!r} belongs to all rows, got indices={indices!r}")

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method; a native vector environment is called once for all rows."""
        env = self.env.unwrapped
        if isinstance(env, SyncVectorEnv | AsyncVectorEnv):
            return self._chosen(env.call(method_name, *method_args, **method_kwargs), indices)
        result = self._find(method_name)(*method_args, **method_kwargs)
        return self._per_row(method_name, result, indices)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Whether each row has the wrapper; SB3's `Monitor` is built in."""
        if wrapper_class is Monitor:
            return self._chosen([True] * self.num_envs, indices)
        env = self.env.unwrapped
        if isinstance(env, SyncVectorEnv):
            return self._chosen([is_wrapped(one, wrapper_class) for one in env.envs], indices)
        return self._chosen([False] * self.num_envs, indices)

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Text environments have no images."""
        return [None] * self.num_envs

    def _find(self, name: str) -> Any:
        """Look an attribute up along the wrappers, outermost first."""
        env: Any = self.env
        while isinstance(env, VectorWrapper) and name not in dir(env):
            env = env.env
        return getattr(env, name)

    def _per_row(self, name: str, value: Any, indices: VecEnvIndices) -> list[Any]:
        values = list(value) if name in PER_ROW else [value] * self.num_envs
        return self._chosen(values, indices)

    def _chosen(self, values: Iterable[Any], indices: VecEnvIndices) -> list[Any]:
        values = list(values)
        return [values[index] for index in self._get_indices(indices)]


def as_vec_env(
    env: str | gym.Env | VectorEnv | VecEnv,
    num_envs: int = DEFAULT_NUM_ENVS,
    seed: int | None = None,
    *,
    settles: bool = False,
    env_kwargs: Mapping[str, Any] | None = None,
) -> VecEnv:
    """Make an SB3 `VecEnv` of whatever the user has.

    Args:
        env: A registered id, an `Env` (one row), a `VectorEnv`, or a `VecEnv` (returned as it is).
        num_envs: Rows made for an id.
        seed: Seed of the next reset; None leaves it open.
        settles: Whether the caller settles deferred rewards itself.
        env_kwargs: Arguments with which an id is made.

    Raises:
        ValueError: The environment withholds rewards that the caller would never see, or resets
            in another mode than SAME_STEP.
        TypeError: `env` is nothing of the kind.
    """
    vec_env = (
        env if isinstance(env, VecEnv) else TextVecEnv(_vector_env(env, num_envs, env_kwargs or {}))
    )
    inner = vec_env.unwrapped
    if isinstance(inner, TextVecEnv) and inner.is_deferred and not settles:
        raise ValueError(
            "the environment has reward_timing 'deferred', so steps would pay 0; expected 'step' "
            "(set_reward_timing('step')), or an algorithm that settles rewards itself"
        )
    if seed is not None:
        vec_env.seed(seed)
    return vec_env


def _vector_env(
    env: str | gym.Env | VectorEnv, num_envs: int, env_kwargs: Mapping[str, Any]
) -> VectorEnv:
    if isinstance(env, str):
        kwargs = {"num_envs": num_envs, **env_kwargs}
        if spec_of(env).vector_entry_point is not None:
            return gym.make_vec(env, **kwargs)
        mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
        return gym.make_vec(env, vectorization_mode="sync", vector_kwargs=mode, **kwargs)
    if isinstance(env, VectorEnv):
        return env
    if isinstance(env, gym.Env):
        single: Callable[[], gym.Env] = lambda: env  # noqa: E731
        return SyncVectorEnv([single], autoreset_mode=AutoresetMode.SAME_STEP)
    raise TypeError(f"env must be an id, an Env, a VectorEnv or a VecEnv, got {env!r}")


def _autoreset_mode(env: VectorEnv) -> AutoresetMode:
    mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
    return mode if isinstance(mode, AutoresetMode) else AutoresetMode(mode)


def _merged_options(options: list[dict[str, Any]]) -> dict[str, Any] | None:
    """One options dict for all rows: equal values stay, differing ones become a list per row."""
    if not any(options):
        return None
    if any(set(one) != set(options[0]) for one in options):
        raise ValueError(f"every row needs the same option names, got {options!r}")
    if all(one == options[0] for one in options):
        return dict(options[0])
    return {name: [one[name] for one in options] for name in options[0]}


def _rows_of(info: dict[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Split a vector info (arrays with `_key` masks of presence) into one dict per row."""
    rows: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, values in info.items():
        if key.startswith("_") and key[1:] in info:
            continue
        present = info.get(f"_{key}")
        if isinstance(values, dict):
            values = _rows_of(values, num_envs)
        elif values.dtype != object and values.ndim == 1:
            values = values.tolist()
        for row in range(num_envs) if present is None else np.flatnonzero(present):
            rows[row][key] = values[row]
    return rows
