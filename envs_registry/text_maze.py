"""TextMaze-v0: find the way out by the words on the walls.

Description:
    A maze that forks to the left and to the right. Each room says which of both is open; one
    branch ends in the exit, the others in dead ends, whose only passage leads back to the
    entrance. Solved: a mean return of at least 95 % of the way from `random_return` to
    `best_return`.
Observation:
    `Box(0, V, (6,), int64)`: words as token ids, "room 3 left open right wall"; `tokenizer`
    decodes them. With `observation="cell"`: `Discrete(S)`, the number of the state.
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
    `depth` (4) of the fork, 1 to 8, `maze_seed` (0), `observation` ("text" or "cell"), `reward`
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
from textgym.envs_registry.maze_plans import MazePlan, tree
from textgym.envs_registry.tabular_env import TabularVectorEnv


@dataclass(frozen=True, kw_only=True)
class TextMazeConfig(MazeConfig):
    """Arguments of TextMaze-v0.

    Attributes:
        depth: Passages from the entrance to the exit, 1 to 8.
    """

    depth: int = 4

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_int("depth", self.depth, at_least=1)
        if self.depth > 8:
            raise ValueError(f"depth must be at most 8, got {self.depth!r}")


def plan_of(config: TextMazeConfig) -> MazePlan:
    """Return the maze."""
    return tree(config.depth, config.maze_seed)


class TextMazeEnv(MazeEnv):
    """One row of TextMaze-v0; see the module's docstring."""

    config_class = TextMazeConfig
    make_plan = staticmethod(plan_of)


class TextMazeVectorEnv(TabularVectorEnv):
    """N rows of TextMaze-v0; see the module's docstring."""

    env_class = TextMazeEnv
