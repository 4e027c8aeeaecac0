"""Environments over a `TabularMDP`, single and vector. Shape letter: N rows."""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from textgym.config import check_int
from textgym.envs_registry.tabular import TabularMDP
from textgym.vector_env import autoreset_mode_of

RENDER_MODES = ("ansi", "human")


@dataclass(frozen=True, kw_only=True)
class TabularConfig:
    """Arguments that every tabular environment has.

    Attributes:
        gamma: Discount of the exact solution, in [0, 1).
        max_steps: An episode is truncated after so many steps, at least 1.
        render_mode: "ansi", "human"; any other string is accepted and cannot be rendered.
    """

    gamma: float = 0.9
    max_steps: int = 100
    render_mode: str | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_int("max_steps", self.max_steps, at_least=1)
        if not isinstance(self.gamma, (int, float)) or not 0.0 <= self.gamma < 1.0:
            raise ValueError(f"gamma must lie in [0, 1), got {self.gamma!r}")


class TabularEnv(gym.Env):
    """One row; a subclass sets `config_class` and `build_mdp`, and may show states otherwise.

    Infos hold `state`, and of a step `regret`: V* of the state less Q* of the action, 0 for a best
    one.

    Attributes:
        config: The arguments.
        mdp: The tables, with V*, Q* and the best return.
        state: Where the episode stands.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 4}
    config_class: ClassVar[type[TabularConfig]] = TabularConfig

    def __init__(self, **kwargs: Any) -> None:
        """Build the tables.

        Args:
            **kwargs: See `config_class`.

        Raises:
            TypeError: An unknown argument (the nearest known one is named).
            ValueError: A value out of range.
        """
        self.config = _config(self.config_class, kwargs)
        self.mdp = type(self).build_mdp(self.config)
        self.render_mode = self.config.render_mode
        self.state: int | None = None
        self._steps, self._is_over, self._last = 0, True, ""
        self.observation_space: gym.Space[Any] = spaces.Discrete(self.mdp.num_states)
        self.action_space = spaces.Discrete(self.mdp.num_actions)

    @staticmethod
    def build_mdp(config: Any) -> TabularMDP:
        """Return the tables; set by subclasses.

        Raises:
            TypeError: A class without.
        """
        raise TypeError(f"expected a class with a build_mdp, for {config!r}")

    @property
    def gamma(self) -> float:
        """Discount of the exact solution."""
        return self.mdp.gamma

    @property
    def optimal_values(self) -> np.ndarray:
        """V*, (S,) float64; see `TabularMDP`."""
        return self.mdp.optimal_values

    @property
    def optimal_q(self) -> np.ndarray:
        """Q*, (S, A) float64; see `TabularMDP`."""
        return self.mdp.optimal_q

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Seeds `np_random`.
            options: `state` to begin in; empty to draw one.

        Raises:
            ValueError: An unknown option, or a state that no episode can stand in.
        """
        super().reset(seed=seed)
        given = {k: v for k, v in (options or {}).items() if k != "reset_mask"}
        chosen = given.pop("state", None)
        if given:
            raise ValueError(f"options of reset are 'state', got {sorted(given)}")
        if chosen is None:
            chosen = self.np_random.choice(self.mdp.num_states, p=self.mdp.start)
        elif not self._can_begin_in(chosen):
            raise ValueError(
                f"state must be an integer of 0 to {self.mdp.num_states - 1} that does not end an "
                f"episode, got {chosen!r}"
            )
        self.state, self._steps, self._is_over = int(chosen), 0, False
        self._last = self.describe(self.state)
        self._show_if_human()
        return self.observe(self.state), self.state_info(self.state)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Act.

        Raises:
            ValueError: The action is outside the space.
            ResetNeeded: The episode has ended, or none has begun.
        """
        if self._is_over or self.state is None:
            raise ResetNeeded("step() needs an episode that goes on: call reset() first")
        if not self.action_space.contains(action):
            raise ValueError(f"action must lie in {self.action_space}, got {action!r}")
        before, chosen = self.state, int(action)
        chances = self.mdp.transitions[before, chosen]
        after = int(self.np_random.choice(self.mdp.num_states, p=chances))
        reward = float(self.mdp.rewards[before, chosen])
        self.state, self._steps = after, self._steps + 1
        terminated = bool(self.mdp.is_end[after])
        truncated = not terminated and self._steps >= self.mdp.max_steps
        self._is_over = terminated or truncated
        self._last = f"{self.describe(before)} --{chosen}--> {self.describe(after)}  {reward:+.2f}"
        self._show_if_human()
        info = {
            **self.state_info(after),
            **self.step_info(before, chosen, after),
            "regret": self._regret(before, chosen),
        }
        return self.observe(after), reward, terminated, truncated, info

    def observe(self, state: int) -> Any:
        """Return what is seen in a state: its number, unless a subclass says otherwise."""
        return np.int64(state)

    def describe(self, state: int) -> str:
        """Return the state in words."""
        return f"state {state}"

    def state_info(self, state: int) -> dict[str, Any]:
        """Return what every info holds of the state that was reached."""
        return {"state": state}

    def step_info(self, before: int, action: int, after: int) -> dict[str, Any]:
        """Return what a step's info holds besides that and `regret`."""
        return {}

    def render(self) -> str | None:  # type: ignore[override]
        """Return the last step in words ("ansi"), or write it to the terminal ("human").

        Raises:
            ValueError: The environment was made with another render mode.
        """
        if self.render_mode == "ansi":
            return self._last
        if self.render_mode == "human":
            self._show_if_human()
        elif self.render_mode is None:
            gym.logger.warn("render() shows nothing without a render_mode, such as 'ansi'")
        else:
            raise ValueError(f"render_mode must be one of {RENDER_MODES}, got {self.render_mode!r}")
        return None

    def _can_begin_in(self, state: Any) -> bool:
        if isinstance(state, bool) or not isinstance(state, (int, np.integer)):
            return False
        return bool(0 <= state < self.mdp.num_states and not self.mdp.is_end[state])

    def _regret(self, state: int, action: int) -> float:
        return float(self.mdp.optimal_values[state] - self.mdp.optimal_q[state, action])

    def _show_if_human(self) -> None:
        if self.render_mode == "human":
            sys.stdout.write(self._last + "\n")


class TabularVectorEnv(SyncVectorEnv):
    """N rows of a tabular environment in one process; a subclass names `env_class`."""

    env_class: ClassVar[type[TabularEnv]]

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = "SameStep",
        **kwargs: Any,
    ) -> None:
        """Make the rows.

        Args:
            num_envs: N, at least 1.
            autoreset_mode: "SameStep", "NextStep" or "Disabled" (or the enum).
            **kwargs: For each row; see the single environment.
        """
        check_int("num_envs", num_envs, at_least=1)
        self._constructor = (num_envs, autoreset_mode, dict(kwargs))
        super().__init__(
            [partial(self.env_class, **kwargs)] * num_envs,
            autoreset_mode=autoreset_mode_of(autoreset_mode),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return the constructor's arguments: episodes do not travel."""
        return {"constructor": self._constructor, "spec": self.spec}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the environment anew."""
        num_envs, autoreset_mode, kwargs = state["constructor"]
        type(self).__init__(self, num_envs, autoreset_mode, **kwargs)
        self.spec = state["spec"]

    @property
    def mdp(self) -> TabularMDP:
        """The tables, with V*, Q* and the best return."""
        row = self.envs[0].unwrapped
        assert isinstance(row, TabularEnv), f"the rows are tabular environments, got {row!r}"
        return row.mdp

    @property
    def gamma(self) -> float:
        """Discount of the exact solution."""
        return self.mdp.gamma

    @property
    def optimal_values(self) -> np.ndarray:
        """V*, (S,) float64."""
        return self.mdp.optimal_values

    @property
    def optimal_q(self) -> np.ndarray:
        """Q*, (S, A) float64."""
        return self.mdp.optimal_q


def _config(config_class: type[TabularConfig], kwargs: dict[str, Any]) -> TabularConfig:
    known = [field.name for field in fields(config_class)]
    for name in kwargs:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            # Python's own words, which TorchRL looks for when it offers `frameskip`.
            raise TypeError(f"got an unexpected keyword argument {name!r}{hint}")
    return config_class(**kwargs)
