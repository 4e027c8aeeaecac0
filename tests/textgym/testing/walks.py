"""A walk over five cells, right in one class and wrong in one way in each other.

Description:
    Cells 0 to 4 in a row; one begins at 1, 2 or 3 and goes left (0) or right (1).
Info:
    `cell` always; of a step `reward_terms`, and at the end `gold_score`. Not with `slow`.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

_COUNTER = itertools.count()


class Walk(gym.Env):
    """The walk as it should be."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(self, slow: bool = False, render_mode: str | None = None) -> None:
        """Make the spaces."""
        self.slow, self.render_mode = slow, render_mode
        self.observation_space = spaces.Box(0, 4, (1,), np.int64)
        self.action_space = spaces.Discrete(2)
        self.cell = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin at one of the cells in the middle."""
        super().reset(seed=seed)
        self.cell = self.first_cell()
        return self.observation(), {"cell": self.cell}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Go left or right; the right end pays 1."""
        self.cell += 1 if int(action) else -1
        is_end = self.cell in (0, 4)
        reward = self.reward()
        info: dict[str, Any] = {"cell": self.cell, "reward_terms": {"right": reward}}
        if is_end:
            info["gold_score"] = float(self.cell == 4)
        return self.observation(), reward, is_end, False, info

    def render(self) -> Any:
        """Return the row of cells."""
        return "".join("x" if cell == self.cell else "." for cell in range(5))

    def first_cell(self) -> int:
        """Draw the first cell."""
        return int(self.np_random.integers(1, 4))

    def reward(self) -> float:
        """Return what the cell pays."""
        return float(self.cell == 4)

    def observation(self) -> np.ndarray:
        """Return a fresh array."""
        return np.array([self.cell], dtype=np.int64)

    def best_known_action(self) -> int:
        """Go right."""
        return 1


class WalkRows(SyncVectorEnv):
    """Rows of it, as an environment with a vector class of its own has them."""

    row_class: ClassVar[type[Walk]] = Walk

    def __init__(self, num_envs: int = 1, autoreset_mode: str = "SameStep", **kwargs: Any) -> None:
        """Make the rows."""
        mode = AutoresetMode(autoreset_mode)
        super().__init__([lambda: self.row_class(**kwargs)] * num_envs, autoreset_mode=mode)


class ReachesOut(Walk):
    """Looks for something in a network, and says nothing when there is none."""

    def first_cell(self) -> int:
        """Try to connect."""
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.01).close()
        return super().first_cell()


class OutOfSpace(Walk):
    """Observes what is not in its space."""

    def observation(self) -> np.ndarray:
        """Return a number that is too high."""
        return np.array([self.cell + 3], dtype=np.int64)


class Warns(Walk):
    """Has an action space that SB3 warns of."""

    def __init__(self, **kwargs: Any) -> None:
        """Take a range that is not symmetric."""
        super().__init__(**kwargs)
        self.action_space = spaces.Box(0.0, 9.0, (1,), np.float32)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Go right for much."""
        return super().step(int(action[0] > 4))


class ForgetsItsSpec(Walk):
    """Has an argument that JSON changes."""

    def __init__(self, sizes: Any = (), **kwargs: Any) -> None:
        """Take a tuple, which comes back as a list."""
        super().__init__(**kwargs)


class LosesState(Walk):
    """Is another one after pickling."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Forget what was there."""
        self.__dict__.update(state)
        self.reward = lambda: 9.0  # type: ignore[method-assign]


class ShowsNothing(Walk):
    """Renders nothing."""

    def render(self) -> Any:
        """Return nothing."""
        return None


class CountsResets(Walk):
    """Begins by how often any was reset, whatever the seed."""

    def first_cell(self) -> int:
        """Take turns."""
        return 1 + next(_COUNTER) % 3


class SameStart(Walk):
    """Begins at the same cell for every seed."""

    def first_cell(self) -> int:
        """Begin in the middle."""
        return 2


class ReusesItsArray(Walk):
    """Returns one array again and again."""

    def observation(self) -> np.ndarray:
        """Overwrite the array."""
        self.array = getattr(self, "array", np.zeros(1, np.int64))
        self.array[0] = self.cell
        return self.array


class NeverEnds(Walk):
    """Goes on for ever."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Stay where one is."""
        return self.observation(), 0.0, False, False, {"cell": self.cell}


class Truncates(Walk):
    """Truncates where it should terminate."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Swap the flags."""
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, truncated, terminated, info


class SaysMore(Walk):
    """Has a key that no documentation names."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Add a key."""
        *rest, info = super().step(action)
        return (*rest, {**info, "secret": 1})  # type: ignore[return-value]


class SaysLess(Walk):
    """Never gives a key that is documented."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Drop a key."""
        *rest, info = super().step(action)
        info.pop("gold_score", None)
        return (*rest, info)  # type: ignore[return-value]


class WrongTerms(Walk):
    """Has terms that are not what was paid."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Pay more than the terms say."""
        observation, reward, *rest = super().step(action)
        return observation, reward + 0.5, *rest  # type: ignore[return-value]


class UsesGlobalDraws(Walk):
    """Draws from everybody's generator."""

    def first_cell(self) -> int:
        """Draw from Python's."""
        return random.randint(1, 3)


class ReadsGlobalState(Walk):
    """Depends on everybody's generator without moving it."""

    def first_cell(self) -> int:
        """Look at NumPy's."""
        return 1 + int(np.random.get_state()[1][0]) % 3  # type: ignore[index, call-overload]


class PaysNothingKnown(Walk):
    """Pays what is no number."""

    def reward(self) -> float:
        """Pay NaN."""
        return float("nan")


class BestIsWorst(Walk):
    """Thinks that left is best."""

    def best_known_action(self) -> int:
        """Go left."""
        return 0


class Guided(Walk):
    """Has a reference that goes right more often than not."""

    right_rate = 0.75

    def reference_action(self) -> int:
        """Draw from a generator of its own."""
        self.guide = getattr(self, "guide", np.random.default_rng(0))
        return int(self.guide.random() < self.right_rate)


class Misguided(Guided):
    """Has a reference that is worse than chance."""

    right_rate = 0.25


class PaysOtherRows(WalkRows):
    """Pays rows more than single ones."""

    def step(self, actions: Any) -> Any:
        """Add to the rewards."""
        observations, rewards, *rest = super().step(actions)
        return observations, rewards + 1.0, *rest


class LosesFinalObservations(WalkRows):
    """Resets a row and forgets where it had been."""

    def step(self, actions: Any) -> Any:
        """Drop the last observation."""
        *rest, infos = super().step(actions)
        infos.pop("final_obs", None)
        return *rest, infos


class PaysWhileItResets(WalkRows):
    """Pays for the step that only resets."""

    def step(self, actions: Any) -> Any:
        """Pay where nothing else did."""
        observations, rewards, terminated, *rest = super().step(actions)
        return observations, np.where(terminated, rewards, 0.5), terminated, *rest
