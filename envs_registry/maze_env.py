"""What the text mazes share: rooms in words, the teacher, the environment. Shape letter: S states.

`maze_plans` says which passages there are; the files of the environments choose a plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces

from textgym.config import check_int
from textgym.envs_registry.maze_plans import WALL, MazePlan
from textgym.envs_registry.tabular import TabularMDP
from textgym.envs_registry.tabular_env import TabularConfig, TabularEnv
from textgym.tokenizer import SymbolTokenizer

OBSERVATIONS = ("text", "cell")
REWARDS = ("cells", "teacher")
SIDES = ("left", "right")
WORDS = ("room", *SIDES, "open", "wall", "exit", "sign", "none")
WALL_JUDGEMENT = (-1.0, "That is a wall.")
DEAD_END_JUDGEMENT = (-1.0, "That is a dead end.")
EXIT_JUDGEMENT = (1.0, "That is the way out.")
NO_JUDGEMENT = (0.0, "")


@dataclass(frozen=True, kw_only=True)
class MazeConfig(TabularConfig):
    """Arguments of a text maze.

    Attributes:
        maze_seed: Draws the maze and what its rooms pay, at least 0.
        observation: "text", token ids of the room in words, or "cell", the state's number.
        reward: "cells", what the entered room pays, or "teacher", the teacher's judgement.
    """

    gamma: float = 0.99
    max_steps: int = 50
    maze_seed: int = 0
    observation: str = "text"
    reward: str = "cells"

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_int("maze_seed", self.maze_seed, at_least=0)
        for name, choices in (("observation", OBSERVATIONS), ("reward", REWARDS)):
            if (value := getattr(self, name)) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {value!r}")


class MazeEnv(TabularEnv):
    """One row of a text maze; a subclass sets `make_plan` and, where it has more, `config_class`.

    Attributes:
        plan: The rooms.
        tokenizer: Of the observations' words.
    """

    config_class = MazeConfig
    config: MazeConfig

    def __init__(self, **kwargs: Any) -> None:
        """Draw the maze; see `config_class` for the arguments."""
        super().__init__(**kwargs)
        numbers = [str(room) for room in range(int(self.plan.rooms.max()) + 1)]
        self.tokenizer = SymbolTokenizer([*WORDS, *numbers], eos=None)
        if self.config.observation == "text":
            width = len(self.describe(0).split())
            self.observation_space = spaces.Box(
                0, self.tokenizer.vocab_size, (width,), dtype=np.int64
            )

    @staticmethod
    def make_plan(config: Any) -> MazePlan:
        """Return the rooms; set by subclasses.

        Raises:
            TypeError: A class without.
        """
        raise TypeError(f"expected a class with a make_plan, for {config!r}")

    @classmethod
    def build_mdp(cls, config: MazeConfig) -> TabularMDP:
        """Return the tables of the maze."""
        plan = cls.make_plan(config)
        num_states = len(plan.rewards)
        ahead = np.where(plan.passages == WALL, np.arange(num_states)[:, None], plan.passages)
        rewards = plan.rewards[ahead]
        if config.reward == "teacher":
            scores = [[judgement(plan, s, a)[0] for a in range(2)] for s in range(num_states)]
            rewards = np.array(scores)
        return TabularMDP(
            transitions=np.eye(num_states)[ahead],
            rewards=np.where(plan.is_exit[:, None], 0.0, rewards),
            start=plan.start,
            is_end=plan.is_exit,
            gamma=config.gamma,
            max_steps=config.max_steps,
        )

    @cached_property
    def plan(self) -> MazePlan:
        """The rooms."""
        return type(self).make_plan(self.config)

    def observe(self, state: int) -> Any:
        """Return the room's words as token ids, (L,) int64, or the state's number."""
        if self.config.observation == "cell":
            return np.int64(state)
        return np.array(self.tokenizer.encode(self.describe(state)), dtype=np.int64)

    def describe(self, state: int) -> str:
        """Return the room in words: "room 3 left open right wall"."""
        plan = self.plan
        words = [f"room {plan.rooms[state]}"]
        if plan.signs:
            words.append(f"sign {self.sign(state)}")
        for side, name in enumerate(SIDES):
            is_open = plan.passages[state, side] != WALL
            found = "exit" if plan.is_exit[state] else "open" if is_open else "wall"
            words.append(f"{name} {found}")
        return " ".join(words)

    def sign(self, state: int) -> str:
        """Return what the sign in a state's room says: the side of the exit."""
        return SIDES[self.plan.signs[state]]

    def state_info(self, state: int) -> dict[str, Any]:
        """Return the state and its room in words."""
        return {"state": state, "text": self.describe(state)}

    def step_info(self, before: int, action: int, after: int) -> dict[str, Any]:
        """Return the teacher's judgement of the step."""
        score, words = judgement(self.plan, before, action)
        return {"teacher_score": score, "feedback": words}


def judgement(plan: MazePlan, state: int, action: int) -> tuple[float, str]:
    """Return what the teacher says to a step: a score in [-1, 1], and words, "" for none."""
    after = int(plan.passages[state, action])
    if after == WALL:
        return WALL_JUDGEMENT
    if plan.is_exit[after]:
        return EXIT_JUDGEMENT
    return DEAD_END_JUDGEMENT if plan.is_dead_end[after] else NO_JUDGEMENT
