"""Figures of a study: the curves of every reward model, gold alone, and the alarms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from textgym.agents.evaluation.alarms import TITLES
from textgym.agents.overoptimization.plan import StudyConfig, StudyFolder
from textgym.agents.overoptimization.results import Curve

DISTANCE = "√KL from the reference (√nats)"
UNIT = "above the reference (its sd)"
METHODS = {"best-of-n": "best-of-n", "ppo": "PPO"}


def draw_study(
    config: StudyConfig, folder: StudyFolder, found: Sequence[Curve], where: Path
) -> list[Path]:
    """Draw curves.png, gold.png and, where PPO ran, alarms.png.

    Args:
        config: The study.
        folder: Its cells.
        found: Its curves, at least one.
        where: Folder of the files; made if need be.

    Returns:
        The files written.
    """
    where.mkdir(parents=True, exist_ok=True)
    figures = {"curves": _curves(found), "gold": _gold(found)}
    if any(curve.first_rings or curve.cell.kind == "ppo" for curve in found):
        figures["alarms"] = _alarms(config, folder, found)
    for name, figure in figures.items():
        FigureCanvasAgg(figure).print_png(where / f"{name}.png")
    return [where / f"{name}.png" for name in figures]


def _curves(found: Sequence[Curve]) -> Figure:
    """One column for each reward model, one row for each method; proxy dashed, gold solid."""
    models = sorted({(c.cell.size, c.cell.noise) for c in found})
    kinds = [kind for kind in METHODS if any(c.cell.kind == kind for c in found)]
    figure = _figure(len(kinds), len(models))
    for row, kind in enumerate(kinds):
        for column, (size, noise) in enumerate(models):
            axes = figure.add_subplot(len(kinds), len(models), row * len(models) + column + 1)
            here = [c for c in found if c.cell.kind == kind]
            here = [c for c in here if (c.cell.size, c.cell.noise) == (size, noise)]
            _draw_pairs(axes, here)
            axes.set_title(f"{METHODS[kind]}: {size:,} labels, noise {noise:g}", fontsize=9)
    return figure


def _draw_pairs(axes: Axes, found: Sequence[Curve]) -> None:
    coefs = sorted({c.cell.kl_coef for c in found if c.cell.kl_coef is not None})
    for curve in found:
        colour = _colour(coefs.index(curve.cell.kl_coef) if curve.cell.kl_coef in coefs else 0)
        is_first = curve.cell.seed == 0
        label = "" if curve.cell.kl_coef is None else f", kl_coef {curve.cell.kl_coef:g}"
        axes.plot(
            curve.d,
            curve.proxy.means,
            "--",
            color=colour,
            linewidth=1,
            alpha=0.8,
            label=f"proxy{label}" if is_first else None,
        )
        _draw_gold(axes, curve, colour, f"gold{label}" if is_first else None)
    _finish(axes, UNIT)


def _gold(found: Sequence[Curve]) -> Figure:
    """All reward models' gold side by side: best-of-n, and PPO with the least KL penalty."""
    kinds = [kind for kind in METHODS if any(c.cell.kind == kind for c in found)]
    models = sorted({(c.cell.size, c.cell.noise) for c in found})
    figure = _figure(1, len(kinds))
    for column, kind in enumerate(kinds):
        axes = figure.add_subplot(1, len(kinds), column + 1)
        here = [c for c in found if c.cell.kind == kind]
        least = min((c.cell.kl_coef for c in here if c.cell.kl_coef is not None), default=None)
        for curve in (c for c in here if c.cell.kl_coef == least):
            size, noise = curve.cell.size, curve.cell.noise
            label = f"{size:,} labels, noise {noise:g}" if curve.cell.seed == 0 else None
            _draw_gold(axes, curve, _colour(models.index((size, noise))), label)
        coef = "" if least is None else f", kl_coef {least:g}"
        axes.set_title(f"gold by {METHODS[kind]}{coef}", fontsize=9)
        _finish(axes, UNIT)
    return figure


def _draw_gold(axes: Axes, curve: Curve, colour: Any, label: str | None) -> None:
    """Points with intervals, the fitted form as a thin line, a star at the peak."""
    own = curve.gold.fit
    axes.errorbar(
        curve.d,
        curve.gold.means,
        yerr=curve.gold.half_widths,
        fmt="o",
        markersize=2.5,
        elinewidth=0.6,
        color=colour,
        label=label,
    )
    if own is not None:
        x = np.linspace(0, own.max_d, 100)
        axes.plot(x, own(x), color=colour, linewidth=1.4)
        if own.peak_seen is not None:
            axes.axvline(own.peak_seen, color=colour, linewidth=0.8, linestyle=":")
    axes.plot(
        curve.d[curve.peak],
        curve.gold.means[curve.peak],
        "*",
        color=colour,
        markersize=10,
        markeredgecolor="black",
        markeredgewidth=0.5,
    )


def _alarms(config: StudyConfig, folder: StudyFolder, found: Sequence[Curve]) -> Figure:
    """Of each PPO run with the least KL penalty, seed 0: gold, and the share beyond thresholds."""
    ppo = [c for c in found if c.cell.kind == "ppo" and c.cell.seed == 0]
    least = min(c.cell.kl_coef for c in ppo if c.cell.kl_coef is not None)
    ppo = [c for c in ppo if c.cell.kl_coef == least]
    figure = _figure(1, len(ppo))
    for column, curve in enumerate(ppo):
        rows = folder.load([curve.cell])[curve.cell]["rows"]
        tokens = [row["tokens"] for row in rows]
        axes = figure.add_subplot(1, len(ppo), column + 1)
        for index, name in enumerate(rows[0]["alarms"]):
            shares = [row["alarms"][name]["share"] for row in rows]
            axes.plot(tokens, shares, color=_colour(index), linewidth=1.2, label=TITLES[name])
            if name in curve.first_rings:
                at = curve.first_rings[name]
                axes.plot(tokens[at], shares[at], "o", color=_colour(index), markersize=6)
        other = axes.twinx()
        other.plot(tokens, curve.gold.means, color="black", linewidth=2, label="gold")
        other.plot(tokens[curve.peak], curve.gold.means[curve.peak], "k*", markersize=11)
        other.set_ylabel(f"gold {UNIT}", fontsize=8)
        size, noise = curve.cell.size, curve.cell.noise
        axes.set_title(f"{size:,} labels, noise {noise:g}, kl_coef {least:g}", fontsize=9)
        _finish(axes, "share of responses beyond the threshold", "tokens trained on")
    return figure


def _figure(rows: int, columns: int) -> Figure:
    return Figure(figsize=(4.6 * columns, 3.6 * rows), layout="constrained", dpi=90)


def _finish(axes: Axes, unit: str, distance: str = DISTANCE) -> None:
    axes.axhline(0, color="grey", linewidth=0.5)
    axes.set_xlabel(distance, fontsize=8)
    axes.set_ylabel(unit, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=7)


def _colour(index: int) -> Any:
    # Okabe and Ito's colours, which differ for colour-blind readers too.
    shades = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#999999")
    return matplotlib.colors.to_rgba(shades[index % len(shades)])
