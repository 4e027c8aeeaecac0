"""What a check is about: an environment by its id and arguments, and how long it is played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from textgym.env_ids import spec_of

TOLERANCE = 1e-4
AUTORESET_MODES = ("SameStep", "NextStep", "Disabled")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One environment to check.

    Attributes:
        id: A registered id.
        family: One of `FAMILIES`.
        kwargs: For `gym.make`.
        num_envs: Rows of the vector environments, at least 2.
        num_steps: Random steps of each comparison.
        seed: Of resets and actions.
    """

    id: str
    family: str = "token"
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    num_envs: int = 3
    num_steps: int = 60
    seed: int = 0

    @property
    def has_own_vector(self) -> bool:
        """Whether the environment has a vector class of its own."""
        return spec_of(self.id).vector_entry_point is not None

    def make(self, **more: Any) -> gym.Env:
        """Make the single environment."""
        return gym.make(self.id, **{**self.kwargs, **more})

    def make_vec(self, mode: str = "SameStep", **more: Any) -> gym.vector.VectorEnv:
        """Make the environment's own vector form, or Gymnasium's of its rows where it has none."""
        if not self.has_own_vector:
            return self.make_sync(mode, **more)
        kwargs = {"num_envs": self.num_envs, "autoreset_mode": mode, **self.kwargs, **more}
        return gym.make_vec(self.id, **kwargs)

    def make_sync(self, mode: str, **more: Any) -> gym.vector.VectorEnv:
        """Make Gymnasium's `SyncVectorEnv` of single ones."""
        return gym.make_vec(
            self.id,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode(mode)},
            **{"num_envs": self.num_envs, **self.kwargs, **more},
        )


def random_actions(env: Any, seed: int) -> Callable[[], Any]:
    """Return a function that draws allowed actions for an environment's current states.

    Args:
        env: Single or vector, wrapped or not; allowed is what its `action_masks()` says, or all.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    is_vector = isinstance(env, gym.vector.VectorEnv)
    space = env.action_space
    has_masks = hasattr(env.unwrapped, "action_masks")
    space.seed(seed)

    def draw() -> Any:
        if not has_masks:
            return space.sample()
        masks = np.atleast_2d(env.unwrapped.action_masks())
        drawn = [int(generator.choice(np.flatnonzero(mask))) for mask in masks]
        return np.array(drawn) if is_vector else drawn[0]

    return draw


def assert_same(one: Any, other: Any, where: str) -> None:
    """Fail unless two nested results are equal: floats to `TOLERANCE`, all else exactly."""
    assert equivalent(one, other), f"{where}: got {one}, expected {other}"


def equivalent(one: Any, other: Any) -> bool:
    """Compare nested results: floats to the tolerance, all else exactly, dtypes included."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equivalent(one[k], other[k]) for k in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(equivalent, one, other))
    if isinstance(one, np.ndarray):
        return _same_array(one, other)
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=0.0, atol=TOLERANCE, equal_nan=True))
    return bool(one == other)


def _same_array(one: np.ndarray, other: Any) -> bool:
    if not isinstance(other, np.ndarray) or one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype == object:
        return all(map(equivalent, one.reshape(-1), other.reshape(-1)))
    if np.issubdtype(one.dtype, np.floating):
        return bool(np.allclose(one, other, rtol=0.0, atol=TOLERANCE, equal_nan=True))
    return bool(np.array_equal(one, other))
