"""TextMaze-TMaze-v0: the sign at the entrance says which way to turn at the end.

Description:
    A stem of rooms, then a junction with two arms, of which one holds the exit and the other is a
    dead end. Which one is drawn for each episode, and a sign says it. In the stem the right leads
    onward and the left back. With `memory=True` only the first room has the sign: the observation
    is then not Markov, and only an agent that remembers can do better than turn at random. Solved:
    a mean return of at least 95 % of the way from `random_return` to `best_return`.
Observation:
    `Box(0, V, (8,), int64)`: words as token ids, "room 0 sign left left wall right open";
    `tokenizer` decodes them. With `observation="cell"`: `Discrete(S)`, the number of the state,
    which is one for each room and each side of the exit.
Action:
    `Discrete(2)`: 0 left, 1 right.
Reward:
    What the entered room pays: the exit 1, every other a cost of -0.1, -0.2 or -0.3 that the seed
    drew; who runs into a wall stays and pays for the room again. With `reward="teacher"` a
    teacher's judgement instead: -1 for a wall and for a dead end, 1 for the exit, 0 else.
Episode end:
    Terminated in the exit, truncated after 50 steps.
Info:
    `state`, `text` (the room in words); of a step also `regret`, V*(s) - Q*(s, a), `teacher_score`
    and `feedback`, what the teacher says in words ("That is a wall.").

Arguments:
    `length` (4) of the stem in rooms, at least 1, `memory` (False), `maze_seed` (0), `observation`
    ("text" or "cell"), `reward` ("cells" or "teacher"), `gamma` (0.99), `max_steps` (50),
    `render_mode`. The unwrapped environment has `optimal_values`, `optimal_q`, and as `mdp` the
    tables with `best_return` and `random_return`.
Data:
    One maze by seed.
Version history:
    v0: first version.
"""

from __future__ import annotations

from dataclasses import dataclass

from textgym.config import check_int
from textgym.envs_registry.maze_env import MazeConfig, MazeEnv
from textgym.envs_registry.maze_plans import MazePlan, t_maze
from textgym.envs_registry.tabular_env import TabularVectorEnv


@dataclass(frozen=True, kw_only=True)
class TMazeConfig(MazeConfig):
    """Arguments of TextMaze-TMaze-v0.

    Attributes:
        length: Rooms of the stem, at least 1.
        memory: Whether only the first room has the sign.
    """

    length: int = 4
    memory: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_int("length", self.length, at_least=1)
        if not isinstance(self.memory, bool):
            raise ValueError(f"memory must be True or False, got {self.memory!r}")
        if self.memory and self.observation == "cell":
            raise ValueError(
                "memory=True needs observation='text': the number of the state, as in "
                f"observation={self.observation!r}, says where the exit lies"
            )


def plan_of(config: TMazeConfig) -> MazePlan:
    """Return the maze."""
    return t_maze(config.length, config.maze_seed)


class TMazeEnv(MazeEnv):
    """One row of TextMaze-TMaze-v0; see the module's docstring."""

    config_class = TMazeConfig
    make_plan = staticmethod(plan_of)
    config: TMazeConfig

    def sign(self, state: int) -> str:
        """Return what the sign says: "none" where there is none to remember by."""
        is_shown = not self.config.memory or self.plan.rooms[state] == 0
        return super().sign(state) if is_shown else "none"


class TMazeVectorEnv(TabularVectorEnv):
    """N rows of TextMaze-TMaze-v0; see the module's docstring."""

    env_class = TMazeEnv
