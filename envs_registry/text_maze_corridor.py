"""TextMaze-Corridor-v0: a row of rooms with the exit at one end.

Description:
    Rooms in a row. The episode begins in the middle, the exit is the last room to the right, and
    the first to the left is a dead end. Solved: a mean return of at least 95 % of the way from
    `random_return` to `best_return`.
Observation:
    `Box(0, V, (6,), int64)`: words as token ids, "room 3 left open right open"; `tokenizer`
    decodes them. With `observation="cell"`: `Discrete(S)`, the number of the room.
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
    `length` (7) in rooms, at least 3, `maze_seed` (0), `observation` ("text" or "cell"), `reward`
    ("cells" or "teacher"), `gamma` (0.99), `max_steps` (50), `render_mode`. The unwrapped
    environment has `optimal_values`, `optimal_q`, and as `mdp` the tables with `best_return` and
    `random_return`.
Data:
    One maze by seed.
Version history:
    v0: first version.
"""

from __future__ import annotations

from dataclasses import dataclass

from textgym.config import check_int
from textgym.envs_registry.maze_env import MazeConfig, MazeEnv
from textgym.envs_registry.maze_plans import MazePlan, corridor
from textgym.envs_registry.tabular_env import TabularVectorEnv


@dataclass(frozen=True, kw_only=True)
class CorridorConfig(MazeConfig):
    """Arguments of TextMaze-Corridor-v0.

    Attributes:
        length: Rooms, at least 3.
    """

    length: int = 7

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_int("length", self.length, at_least=3)


def plan_of(config: CorridorConfig) -> MazePlan:
    """Return the maze."""
    return corridor(config.length, config.maze_seed)


class CorridorEnv(MazeEnv):
    """One row of TextMaze-Corridor-v0; see the module's docstring."""

    config_class = CorridorConfig
    make_plan = staticmethod(plan_of)


class CorridorVectorEnv(TabularVectorEnv):
    """N rows of TextMaze-Corridor-v0; see the module's docstring."""

    env_class = CorridorEnv
