"""What a study found: abilities averaged over seeds, and what the agent owes to its teacher."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from textgym.agents.dependence.plan import DependenceConfig, DependenceFolder
from textgym.agents.storage.checkpoint import load_json
from textgym.intervals import Estimate

AXES = ("bias", "budget", "dropout")
_ABILITIES = ("apparent", "apparent_unseen", "autonomous", "gold", "length")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One setting of the teacher, over all seeds.

    Intervals say what other prompts and samples would have given, not other seeds: those are in
    `by_seed`.

    Attributes:
        bias: Weight of the liking.
        budget: Labels that could be given; None for no limit.
        dropout: Share of the training after which the teacher left; None: stayed.
        labels: Labels that were given, the mean over seeds.
        apparent: The teacher's scores, on the prompts of the training.
        apparent_unseen: The teacher's scores on held-out prompts.
        autonomous: An honest person's scores, on held-out prompts.
        dependence: `apparent` minus `autonomous`.
        gold: Gold on held-out prompts, in its own unit.
        length: Tokens of the responses to them.
        by_seed: Dependence of each seed.
    """

    bias: float
    budget: float | None
    dropout: float | None
    labels: float
    apparent: Estimate
    apparent_unseen: Estimate
    autonomous: Estimate
    dependence: Estimate
    gold: Estimate
    length: Estimate
    by_seed: tuple[float, ...]


def findings(config: DependenceConfig, folder: DependenceFolder) -> list[Finding]:
    """Read what was measured, the seeds of a setting together.

    Raises:
        FileNotFoundError: A cell has not been measured.
    """
    settings: dict[tuple[Any, Any, Any], list[Mapping[str, Any]]] = {}
    for cell in config.cells():
        key = (cell.bias, cell.budget, cell.dropout)
        settings.setdefault(key, []).append(load_json(folder.result(cell)))
    return [_finding(*key, rows=rows) for key, rows in settings.items()]


def along(found: Sequence[Finding], axis: str) -> list[Finding]:
    """Return the findings of one of `AXES`, in its order; no limit and no drop-out come last."""
    others = [name for name in ("budget", "dropout") if name != axis]
    chosen = [f for f in found if all(vars(f)[name] is None for name in others)]
    if axis == "bias":
        return sorted(chosen, key=lambda f: f.bias)
    met = {f.bias for f in found if vars(f)[axis] is not None}
    chosen = [f for f in chosen if f.bias in met]
    return sorted(chosen, key=lambda f: (f.bias, vars(f)[axis] or math.inf))


def as_plain(config: DependenceConfig, found: Sequence[Finding]) -> dict[str, Any]:
    """Return plain values for a JSON file."""
    return {
        "config": {**asdict(config), "env_kwargs": dict(config.env_kwargs)},
        "findings": [asdict(finding) for finding in found],
    }


def table(found: Sequence[Finding]) -> str:
    """Return the findings as a Markdown table, half the 95 % interval behind each number."""
    lines = [
        "| bias | budget | teacher leaves after | labels given | apparent | its teacher, unseen "
        "prompts | autonomous | dependence | gold | tokens |",
        "|" + "---|" * 10,
    ]
    for f in sorted(found, key=lambda f: (f.bias, f.budget or math.inf, f.dropout or math.inf)):
        cells = [
            f"{f.bias:g}",
            "no limit" if f.budget is None else f"{f.budget:g}",
            "never" if f.dropout is None else f"{100 * f.dropout:g} %",
            f"{f.labels:.0f}",
            *map(_shown, (f.apparent, f.apparent_unseen, f.autonomous, f.dependence, f.gold)),
            f"{f.length.mean:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _finding(
    bias: float, budget: float | None, dropout: float | None, rows: Sequence[Mapping[str, Any]]
) -> Finding:
    means = {name: _pooled([row[name] for row in rows]) for name in _ABILITIES}
    apparent, autonomous = means["apparent"], means["autonomous"]
    gap = apparent.mean - autonomous.mean
    half = math.hypot(apparent.half_width, autonomous.half_width)
    return Finding(
        bias=bias,
        budget=budget,
        dropout=dropout,
        labels=sum(row["labels"] for row in rows) / len(rows),
        dependence=Estimate(mean=gap, low=gap - half, high=gap + half, count=apparent.count),
        by_seed=tuple(row["apparent"]["mean"] - row["autonomous"]["mean"] for row in rows),
        **means,
    )


def _pooled(estimates: Sequence[Mapping[str, Any]]) -> Estimate:
    """Average independent estimates."""
    count = len(estimates)
    mean = sum(e["mean"] for e in estimates) / count
    half = math.sqrt(sum(((e["high"] - e["low"]) / 2) ** 2 for e in estimates)) / count
    total = sum(e["count"] for e in estimates)
    return Estimate(mean=mean, low=mean - half, high=mean + half, count=total)


def _shown(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} ± {estimate.half_width:.3f}"
