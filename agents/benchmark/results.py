"""The table of a benchmark: random, reference, people and best known beside what was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textgym.agents.benchmark.plan import KNOWN, ROWS, BenchmarkConfig, Cell
from textgym.agents.benchmark.thresholds import threshold_of
from textgym.intervals import Estimate, mean_interval

# What is known without training, and what it is called.
COLUMNS = {
    "random": "random",
    "reference": "reference",
    "human": "human reference",
    "best_known": "best known",
}
HEAD = ("environment", "metric", *COLUMNS.values(), "trained", "solved")


@dataclass(frozen=True, kw_only=True)
class Line:
    """What was measured on one environment.

    Attributes:
        env_id: The environment.
        metric: What the numbers are: "gold_score", "score", "return" or "J" (`OBJECTIVE`).
        known: Of each of `COLUMNS` its estimate, None where there is none.
        trained: Mean over the seeds; its interval is that of the seeds where there are several,
            else of the one run's episodes. None before a run is done.
        runs: Each run's own estimate, by seed.
        threshold: See `threshold_of`.
        solved: Whether each run solved it, see `is_solved`, by seed; empty where nothing is stated.
        exact: Each run's exact measure (`Exact`, as JSON values), by seed; empty where the mean
            says it all.
    """

    env_id: str
    metric: str
    known: Mapping[str, Estimate | None]
    trained: Estimate | None
    runs: Mapping[int, Estimate]
    threshold: float | None
    solved: Mapping[int, bool] = field(default_factory=dict)
    exact: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def num_solved(self) -> int | None:
        """Runs that solved it; None where nothing is stated, or there is no run."""
        return sum(self.solved.values()) if self.solved else None


def is_solved(env_id: str, run: Mapping[str, Any], reference: Estimate | None) -> bool | None:
    """Return whether a run solved its environment, None where nothing is stated of it.

    By its exact measure where it has one, else by `threshold_of`; a task without one is solved
    where the run's interval lies above the reference's.

    Args:
        env_id: The environment.
        run: A cell's values: "trained", and "exact" where there is one.
        reference: Of the reference; None where there is none.
    """
    if exact := run.get("exact"):
        return bool(exact["is_solved"])
    trained, threshold = Estimate(**run["trained"]), threshold_of(env_id)
    if threshold is not None:
        return trained.mean >= threshold
    if ROWS[env_id].suite == "RLHF" and reference is not None:
        return trained.low > reference.high
    return None


def lines(config: BenchmarkConfig, found: Mapping[Cell, Mapping[str, Any]]) -> list[Line]:
    """Put the cells of each environment together, in the order of the settings."""
    return [_line(env_id, config, found) for env_id in config.env_ids]


def _line(env_id: str, config: BenchmarkConfig, found: Mapping[Cell, Mapping[str, Any]]) -> Line:
    known = found.get(Cell(env_id=env_id, algo=KNOWN), {})
    cells = {
        seed: cell
        for seed in range(config.n_seeds)
        if (cell := found.get(Cell(env_id=env_id, algo=config.algo, seed=seed)))
    }
    runs = {seed: Estimate(**cell["trained"]) for seed, cell in cells.items()}
    trained = None
    if len(runs) == 1:
        trained = next(iter(runs.values()))
    elif runs:
        trained = mean_interval([run.mean for run in runs.values()])
    reference = _estimate(known.get("reference"))
    solved = {seed: is_solved(env_id, cell, reference) for seed, cell in cells.items()}
    return Line(
        env_id=env_id,
        metric=known.get("metric", ""),
        known={name: _estimate(known.get(name)) for name in COLUMNS},
        trained=trained,
        runs=runs,
        threshold=threshold_of(env_id),
        solved={seed: found for seed, found in solved.items() if found is not None},
        exact={seed: cell["exact"] for seed, cell in cells.items() if cell.get("exact")},
    )


def table(found: list[Line]) -> str:
    """Return the lines as a Markdown table, each number with its 95 % interval."""
    rows = [HEAD, tuple("---" for _ in HEAD)]
    for line in found:
        known = [_cell(line.known[name]) for name in COLUMNS]
        solved = "" if line.num_solved is None else f"{line.num_solved}/{len(line.runs)}"
        if line.exact:
            worst = max(line.exact.values(), key=lambda run: run["found"])
            solved += f", {worst['measure']} at most {worst['found']:.3f}"
        rows.append((line.env_id, line.metric, *known, _cell(line.trained), solved))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_plain(found: list[Line]) -> list[dict[str, Any]]:
    """Return the lines as JSON values."""
    return [
        {
            "env_id": line.env_id,
            "metric": line.metric,
            **{name: None if e is None else e.as_dict() for name, e in line.known.items()},
            "trained": None if line.trained is None else line.trained.as_dict(),
            "runs": {str(seed): run.as_dict() for seed, run in line.runs.items()},
            "threshold": line.threshold,
            "exact": {str(seed): dict(run) for seed, run in line.exact.items()},
            "solved": line.num_solved,
        }
        for line in found
    ]


def _estimate(values: Mapping[str, Any] | None) -> Estimate | None:
    return None if values is None else Estimate(**values)


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
