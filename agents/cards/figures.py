"""What was measured of an environment, kept in docs/environments/NAME.json."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textgym.agents.benchmark.fingerprint import Fingerprint, differing, fingerprint_of
from textgym.agents.benchmark.plan import KNOWN, ROWS, BenchmarkFolder, Cell
from textgym.agents.benchmark.results import COLUMNS
from textgym.agents.benchmark.rollouts import known_rollouts
from textgym.agents.storage.checkpoint import load_json

Figures = dict[str, Any]


def figures_from(folder: BenchmarkFolder, env_id: str, algo: str = "ppo") -> Figures | None:
    """Collect what a benchmark measured of one environment; None where it measured nothing.

    Returns:
        JSON values: "metric"; "fingerprint" of the environment, None where that is not known; each
        of `COLUMNS` (estimates or None); "runs", for each seed its command, steps, minutes,
        estimate and, where there are some, its labels and its exact measure; "rollouts" by policy.

    Raises:
        ValueError: A run was measured on another environment than what is known without training.
    """
    file = folder.result(Cell(env_id=env_id, algo=KNOWN))
    if not file.is_file():
        return None
    known = with_fingerprint({"env_id": env_id, **load_json(file)})
    runs, rollouts = [], dict(known["rollouts"])
    for path in sorted(file.parent.glob(f"{env_id}-{algo}-*.json")):
        run = load_json(path)
        _require_same(path, run.get("fingerprint"), known["fingerprint"])
        kept = ("command", "labels", "steps", "minutes", "trained", "exact")
        runs.append({name: run[name] for name in kept if run.get(name) is not None})
        rollouts.setdefault("trained", run["rollouts"])
    return {
        "env_id": env_id,
        "algo": algo,
        "version": importlib.metadata.version("textgym"),
        **{name: known.get(name) for name in ("metric", "fingerprint", *COLUMNS)},
        "runs": runs,
        "rollouts": rollouts,
    }


def _require_same(path: Path, run: Fingerprint | None, known: Fingerprint | None) -> None:
    """Refuse a run of another environment; one without a fingerprint is its benchmark's."""
    if run is None:
        return
    parts = differing({} if known is None else known, run)
    if parts:
        raise ValueError(
            f"expected cells of one environment, but {str(path)!r} was measured on other "
            f"{', '.join(parts)} than the cell of what is known: remove what is old and give the "
            "command of `textgym benchmark` again"
        )


def with_fingerprint(figures: Figures) -> Figures:
    """Return figures with a "fingerprint": their own, or today's where they can be of today only.

    That is where the environment plays their rollouts (all but the trained ones) today, word for
    word; else None: nobody knows what they were measured on.
    """
    found = figures.get("fingerprint")
    if found is None and _are_played_today(figures):
        found = fingerprint_of(figures["env_id"])
    return {**figures, "fingerprint": found}


def _are_played_today(figures: Figures) -> bool:
    env_id = figures["env_id"]
    stored = {name: found for name, found in figures["rollouts"].items() if name != "trained"}
    return _agree(stored, known_rollouts(env_id, ROWS[env_id].family))


def _agree(one: Any, other: Any) -> bool:
    """Return whether JSON values are the same, numbers but for rounding."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_agree(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-4)
    return bool(one == other)


def with_runs_of(new: Figures, stored: Figures | None) -> Figures:
    """Return new figures with the stored runs where the new ones have none.

    So that what is known without training can be measured anew (`textgym benchmark --seeds 0`).
    Runs in another metric, or of an environment that is not known to be the same, do not stay.
    """
    if new["runs"] or stored is None or not _are_alike(new, stored):
        return new
    trained = stored["rollouts"].get("trained")
    rollouts = {**new["rollouts"], **({} if trained is None else {"trained": trained})}
    return {**new, "algo": stored["algo"], "runs": stored["runs"], "rollouts": rollouts}


def _are_alike(new: Figures, stored: Figures) -> bool:
    found = new.get("fingerprint")
    is_same = found is not None and found == stored.get("fingerprint")
    return is_same and new["metric"] == stored["metric"]


def disagreement(figures: Figures) -> str | None:
    """Say where figures are of another environment than today's, and what measures them anew.

    None where they are of today's.
    """
    env_id, stored = figures["env_id"], with_fingerprint(figures)["fingerprint"]
    again = (
        f"`textgym benchmark --envs {env_id} --output FOLDER`, then "
        f"`textgym cards {env_id} --figures FOLDER`"
    )
    if stored is None:
        return f"the rollouts of {env_id} are not what it plays today: {again}"
    parts = differing(stored, fingerprint_of(env_id))
    if not parts:
        return None
    return f"the figures of {env_id} were measured on other {', '.join(parts)}: {again}"


def stored_figures(pages: Path, env_id: str) -> Figures | None:
    """Read the figures beside a card, None where nothing was measured yet."""
    file = pages / f"{env_id}.json"
    return load_json(file) if file.is_file() else None
