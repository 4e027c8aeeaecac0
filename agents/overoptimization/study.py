"""A whole study: samples, then reward models, then best-of-n and PPO, in worker processes.

What is in a file already is not measured again: an interrupted study goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textgym.agents.overoptimization.cells import measure
from textgym.agents.overoptimization.plan import Cell, StudyConfig, StudyFolder
from textgym.agents.overoptimization.samples import (
    check_environment,
    comparison_pool,
    held_out_samples,
    load_episodes,
    save_episodes,
)
from textgym.agents.runs.job_pool import job_runner
from textgym.agents.storage.checkpoint import save_json

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One thing to do in a worker: a cell, the pool of a seed, or the held-out samples."""

    config: StudyConfig
    folder: StudyFolder
    cell: Cell | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        if self.cell is not None:
            return self.cell.name
        return "held-out samples" if self.seed is None else f"samples of seed {self.seed}"

    def is_done(self) -> bool:
        if self.cell is not None:
            return self.folder.result(self.cell).is_file()
        if self.seed is None:
            return self.folder.evaluation.is_file()
        file = self.folder.pool(self.seed)  # a larger data size needs a larger pool
        return file.is_file() and len(load_episodes(file)) >= max(self.config.data_sizes)

    def run(self) -> str:
        if self.cell is not None:
            found = measure(self.config, self.folder, self.cell)
            save_json(self.folder.result(self.cell), found)
        elif self.seed is None:
            save_episodes(self.folder.evaluation, held_out_samples(self.config))
        else:
            save_episodes(self.folder.pool(self.seed), comparison_pool(self.config, self.seed))
        return self.name


def run_study(
    config: StudyConfig,
    output: str | Path,
    *,
    workers: int = 1,
    report: Report = lambda name: None,
) -> StudyFolder:
    """Measure every cell that is missing.

    Args:
        config: What to measure.
        output: The study's folder.
        workers: Processes, at least 1; 1 works in this one. The cores are shared out evenly.
        report: Called with the name of each thing that is done, or was done before.

    Returns:
        The folder, complete.

    Raises:
        ValueError: `workers` below 1, another study in the folder, or an environment without gold
            or reference model.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers!r}")
    folder = StudyFolder(Path(output))
    if not folder.evaluation.is_file():
        check_environment(config)
    folder.claim(config)
    with job_runner(workers) as run:
        for stage in _stages(config, folder):
            missing = []
            for job in stage:
                if job.is_done():
                    report(job.name)
                else:
                    missing.append(job)
            for name in run([job.run for job in missing]):
                report(name)
    return folder


def num_jobs(config: StudyConfig) -> int:
    """Return how often a study calls its `report`."""
    return sum(map(len, _stages(config, StudyFolder(Path()))))


def _stages(config: StudyConfig, folder: StudyFolder) -> list[list[_Job]]:
    """Return the jobs; those of a stage need only what stages before it have made."""

    def cells(kind: str) -> list[_Job]:
        return [_Job(config=config, folder=folder, cell=cell) for cell in config.cells(kind)]

    seeds: Sequence[int | None] = (None, *range(config.n_seeds))
    samples = [_Job(config=config, folder=folder, seed=seed) for seed in seeds]
    return [samples, cells("reward"), [*cells("ppo"), *cells("best-of-n")]]
