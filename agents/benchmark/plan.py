"""What a benchmark runs: its settings, its cells and their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from textgym.agents.runs.study_settings import claim_settings
from textgym.agents.storage.checkpoint import load_json
from textgym.envs_registry.specs import ENVIRONMENTS, EnvRow

KNOWN = "known"
# What is compared where it is known exactly, instead of a mean score: see `exact`.
OBJECTIVE = "J"
# Written by a language model, whose training is `textgym train`.
TEXT_FAMILIES = ("token", "tag")
# Paid by feedback alone: `textgym feedback-loop` trains there, and what it trains is PPO.
LOOP_ALGO = "ppo"
ROWS = {row.id: row for row in ENVIRONMENTS}


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Environments, algorithm and seeds; one that goes on may have more of the first and last.

    Attributes:
        env_ids: Which environments, at least one.
        algo: Which algorithm.
        n_seeds: Runs of each, seeds 0, 1, …; 0 measures only what is known without training.
        steps: Tokens or steps of each run; None: the environment's own budget.
        eval_prompts: Held-out prompts, or episodes, that every policy is measured on, at least 2.
    """

    env_ids: tuple[str, ...]
    algo: str = "ppo"
    n_seeds: int = 3
    steps: int | None = None
    eval_prompts: int = 256

    def __post_init__(self) -> None:
        """Check the ranges, and that the environments can be made of nothing but their ids."""
        for name, least in (("n_seeds", 0), ("eval_prompts", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)!r}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps!r}")
        if not self.env_ids:
            raise ValueError("expected at least one environment, got none")
        for env_id in self.env_ids:
            if (why := reason_to_leave_out(ROWS[env_id], self.n_seeds, self.algo)) is not None:
                raise ValueError(f"{env_id!r} cannot be benchmarked: {why}")

    def cells(self) -> list[Cell]:
        """Return what is measured: of each environment what is known, then every run."""
        runs = [
            Cell(env_id=e, algo=self.algo, seed=s)
            for s in range(self.n_seeds)
            for e in self.env_ids
        ]
        return [*(Cell(env_id=env_id) for env_id in self.env_ids), *runs]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measurement.

    Attributes:
        env_id: The environment.
        algo: What is trained; "known" measures what is known without: random, reference, best.
        seed: Of the run.
    """

    env_id: str
    algo: str = KNOWN
    seed: int = 0

    @property
    def name(self) -> str:
        """File name without suffix."""
        return f"{self.env_id}-{self.algo}" + ("" if self.algo == KNOWN else f"-{self.seed}")


def reason_to_leave_out(row: EnvRow, n_seeds: int = 1, algo: str = LOOP_ALGO) -> str | None:
    """Return why an environment has no place in a benchmark of an algorithm, None where it has.

    With `n_seeds` 0 nothing is trained, and the algorithm does not matter.
    """
    if row.needs:
        return f"it needs {', '.join(row.needs)}"
    if row.family != "control":
        return None
    if n_seeds and algo != LOOP_ALGO:
        return (
            f"it is paid by feedback alone, where `textgym feedback-loop` trains {LOOP_ALGO!r}, "
            f"got {algo!r}"
        )
    try:
        gym.make(row.id).close()
    except ImportError as error:  # Box2D is an extra
        return str(error)
    return None


@dataclass(frozen=True)
class BenchmarkFolder:
    """The files of a benchmark: study.json, cells/, runs/ and the results."""

    path: Path

    def claim(self, config: BenchmarkConfig) -> None:
        """Write the settings, or check that the folder's are the same apart from its grid.

        Raises:
            ValueError: Another benchmark lies there; the message names what differs.
        """
        ours = {"steps": config.steps, "eval_prompts": config.eval_prompts}
        claim_settings(self.path / "study.json", ours)
        (self.path / "cells").mkdir(exist_ok=True)

    def result(self, cell: Cell) -> Path:
        """Return the file of a cell's figures."""
        return self.path / "cells" / f"{cell.name}.json"

    def runs(self, cell: Cell) -> Path:
        """Return the parent of a cell's run folder."""
        return self.path / "runs" / cell.name

    def load(self, cells: Sequence[Cell]) -> dict[Cell, dict[str, Any]]:
        """Read those of the cells that have been measured."""
        return {c: load_json(self.result(c)) for c in cells if self.result(c).is_file()}
