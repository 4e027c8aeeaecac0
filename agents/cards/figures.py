"""What was measured of an environment, kept in docs/environments/NAME.json."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from textgym.agents.benchmark.plan import KNOWN, BenchmarkFolder, Cell
from textgym.agents.benchmark.results import COLUMNS
from textgym.agents.storage.checkpoint import load_json

Figures = dict[str, Any]


def figures_from(folder: BenchmarkFolder, env_id: str, algo: str = "ppo") -> Figures | None:
    """Collect what a benchmark measured of one environment; None where it measured nothing.

    Returns:
        JSON values: "metric"; each of `COLUMNS` (estimates or None); "runs", for each seed its
        command, steps, minutes, estimate and, where there are some, its labels and its exact
        measure; "rollouts" by policy.
    """
    file = folder.result(Cell(env_id=env_id, algo=KNOWN))
    if not file.is_file():
        return None
    known = load_json(file)
    runs, rollouts = [], dict(known["rollouts"])
    for path in sorted(file.parent.glob(f"{env_id}-{algo}-*.json")):
        run = load_json(path)
        kept = ("command", "labels", "steps", "minutes", "trained", "exact")
        runs.append({name: run[name] for name in kept if run.get(name) is not None})
        rollouts.setdefault("trained", run["rollouts"])
    return {
        "env_id": env_id,
        "algo": algo,
        "version": importlib.metadata.version("textgym"),
        **{name: known.get(name) for name in ("metric", *COLUMNS)},
        "runs": runs,
        "rollouts": rollouts,
    }


def with_runs_of(new: Figures, stored: Figures | None) -> Figures:
    """Return new figures with the stored runs where the new ones have none.

    So that what is known without training can be measured anew (`textgym benchmark --seeds 0`).
    """
    if new["runs"] or stored is None:
        return new
    trained = stored["rollouts"].get("trained")
    rollouts = {**new["rollouts"], **({} if trained is None else {"trained": trained})}
    return {**new, "algo": stored["algo"], "runs": stored["runs"], "rollouts": rollouts}


def stored_figures(pages: Path, env_id: str) -> Figures | None:
    """Read the figures beside a card, None where nothing was measured yet."""
    file = pages / f"{env_id}.json"
    return load_json(file) if file.is_file() else None
