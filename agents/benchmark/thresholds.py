"""The mean from which on an environment counts as solved: a constant, or a share of its optimum."""

from __future__ import annotations

from functools import cache
from typing import Any

import gymnasium as gym

from textgym.agents.benchmark.plan import ROWS

# Mazes are solved at so much of the way from random actions to the best ones, in return.
SHARE = 0.95
MAZES = ("TextMaze-v0", "TextMaze-Corridor-v0", "TextMaze-TMaze-v0")


@cache
def threshold_of(env_id: str) -> float | None:
    """Return the least mean, of gold or else of the return, that solves an environment.

    None where no mean says it: see `exact`, and `results.is_solved` of tasks.
    """
    row = ROWS[env_id]
    if row.reward_threshold is not None or env_id not in MAZES:
        return row.reward_threshold
    core: Any = gym.make(env_id).unwrapped
    worst, best = core.mdp.random_return, core.mdp.best_return
    return float(worst + SHARE * (best - worst))
