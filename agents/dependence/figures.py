"""One figure: apparent and autonomous ability against bias, label budget and drop-out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from textgym.agents.dependence.results import Finding, along

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_LABELS = {
    "bias": "bias (sd of gold)",
    "budget": "labels given",
    "dropout": "share of training that the teacher stays",
}


def draw(found: Sequence[Finding], path: Path) -> Path:
    """Draw what was found; a panel for each axis that has more than one value.

    Args:
        found: All settings.
        path: The PNG; its folder exists.
    """
    lines = {axis: along(found, axis) for axis in _LABELS}
    shown = [axis for axis, points in lines.items() if len(points) > 1] or ["bias"]
    figure = Figure(figsize=(4.6 * len(shown), 3.9), layout="constrained")
    first: Axes | None = None
    for place, axis in enumerate(shown, start=1):
        axes = figure.add_subplot(1, len(shown), place, sharey=first)
        first = first or axes
        if axis == "bias":
            _draw_pair(axes, axis, lines[axis], _COLOURS[0], "")
        else:
            for number, bias in enumerate(dict.fromkeys(f.bias for f in lines[axis])):
                points = [f for f in lines[axis] if f.bias == bias]
                _draw_pair(axes, axis, points, _COLOURS[number], f", bias {bias:g}")
        axes.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
        axes.set_xlabel(_LABELS[axis])
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    assert first is not None
    first.set_ylabel("score in [0, 1]; the reference has 0.5")
    figure.suptitle("What the teacher sees, and what is left without it")
    FigureCanvasAgg(figure).print_png(path)
    return path


def _draw_pair(axes: Axes, axis: str, points: Sequence[Finding], colour: str, label: str) -> None:
    xs = [_place(f, axis) for f in points]
    apparent, alone = [f.apparent for f in points], [f.autonomous for f in points]
    for name, line, style in (("apparent", apparent, "--o"), ("autonomous", alone, "-s")):
        axes.errorbar(
            xs,
            [e.mean for e in line],
            yerr=[e.half_width for e in line],
            fmt=style,
            color=colour,
            markersize=4,
            linewidth=1.5,
            capsize=2,
            label=f"{name}{label}",
        )
    axes.fill_between(
        xs, [e.mean for e in alone], [e.mean for e in apparent], color=colour, alpha=0.12
    )


def _place(finding: Finding, axis: str) -> float:
    if axis == "bias":
        return finding.bias
    if axis == "budget":
        return finding.labels
    return 1.0 if finding.dropout is None else finding.dropout
