"""A whole study: the reference model first, then every agent, in worker processes.

What is in a file already is not measured again: an interrupted study goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from textgym.agents.dependence.cells import measure, measure_reference
from textgym.agents.dependence.plan import Cell, DependenceConfig, DependenceFolder
from textgym.agents.runs.job_pool import run_jobs
from textgym.agents.storage.checkpoint import save_json


def run_study(
    config: DependenceConfig,
    output: str | Path,
    *,
    workers: int = 1,
    report: Callable[[str], None] = lambda name: None,
) -> DependenceFolder:
    """Measure every cell that is missing.

    Args:
        config: What to measure.
        output: The study's folder.
        workers: Processes, at least 1.
        report: Called with the name of each cell that is done, or was done before.

    Returns:
        The folder, complete.

    Raises:
        ValueError: `workers` below 1, another study in the folder, or an environment without gold
            or reference model.
    """
    folder = DependenceFolder(Path(output))
    folder.claim(config)
    if not folder.reference.is_file():
        save_json(folder.reference, measure_reference(config))
    missing = []
    for cell in config.cells():
        if folder.result(cell).is_file():
            report(cell.name)
        else:
            missing.append(partial(_run, config, folder, cell))
    for name in run_jobs(missing, workers):
        report(name)
    return folder


def _run(config: DependenceConfig, folder: DependenceFolder, cell: Cell) -> str:
    save_json(folder.result(cell), measure(config, folder, cell))
    return cell.name
