"""Figures of a run, drawn from its progress.csv: score, gold, KL and length over tokens."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TOKENS_COLUMN = "time/total_timesteps"


@dataclass(frozen=True)
class Panel:
    """One figure.

    Attributes:
        name: File name without suffix.
        columns: Columns of progress.csv to draw, with the label of each line.
        title: Title above the axes.
        unit: Label of the vertical axis.
    """

    name: str
    columns: dict[str, str]
    title: str
    unit: str


PANELS = (
    Panel("score", {"rollout/score": "score"}, "Score (what the agent is paid for)", "score"),
    Panel("gold", {"rollout/gold_score": "gold score"}, "Hidden true utility", "gold score"),
    Panel(
        "kl", {"rollout/kl": "KL"}, "Distance from the reference model", "KL (nats per response)"
    ),
    Panel("length", {"rollout/response_tokens": "length"}, "Response length", "length (tokens)"),
)


def read_progress(paths: Sequence[Path]) -> dict[str, list[float | None]]:
    """Read CSVs that SB3's logger wrote, one after the other.

    Returns:
        Column to values, None where a row has none.

    Raises:
        FileNotFoundError: There is no such file.
    """
    rows: list[dict[str, str]] = []
    for path in paths:
        with path.open(newline="", encoding="utf-8") as stream:
            rows += csv.DictReader(stream)
    names = {name: None for row in rows for name in row if name is not None}
    return {name: [_number(row.get(name)) for row in rows] for name in names}


def draw_figures(progress: Sequence[Path], folder: str | Path) -> list[Path]:
    """Draw every panel whose columns were logged, and one overview of all.

    Args:
        progress: The run's progress tables, see `RunFolder.progress_files`.
        folder: Where the PNG files go; made if need be.

    Returns:
        The files written; none where nothing was logged yet.
    """
    columns = read_progress(progress)
    panels = [panel for panel in PANELS if any(_points(columns, name) for name in panel.columns)]
    if not panels:
        return []
    Path(folder).mkdir(parents=True, exist_ok=True)
    groups = [("overview", panels), *((panel.name, [panel]) for panel in panels)]
    return [_draw(columns, group, Path(folder) / f"{name}.png") for name, group in groups]


def _draw(columns: dict[str, list[float | None]], panels: list[Panel], path: Path) -> Path:
    rows, across = (len(panels) + 1) // 2, min(2, len(panels))
    figure = Figure(figsize=(5.6 * across, 3.6 * rows), layout="constrained")
    for place, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, across, place)
        for name, label in panel.columns.items():
            points = _points(columns, name)
            if points:
                axes.plot(*zip(*points, strict=True), label=label, linewidth=1.8, marker=".")
        axes.set(title=panel.title, xlabel="tokens trained on", ylabel=panel.unit)
        axes.grid(alpha=0.3)
        axes.locator_params(axis="x", nbins=6)
        axes.xaxis.set_major_formatter(_thousands)
        if len(panel.columns) > 1:
            axes.legend(frameon=False)
    FigureCanvasAgg(figure).print_png(path)
    return path


def _points(columns: dict[str, list[float | None]], name: str) -> list[tuple[float, float]]:
    steps = columns.get(TOKENS_COLUMN, [])
    pairs = zip(steps, columns.get(name, []), strict=False)
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def _thousands(value: float, position: float = 0.0) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
