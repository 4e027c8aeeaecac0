"""One figure of reward models: by margin, reliability, subsets, best-of-n."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from textgym.agents.evaluation.reward_report import RewardReport
from textgym.agents.supervised.calibration import ReliabilityBin
from textgym.intervals import Estimate


def draw_reports(reports: Sequence[RewardReport], path: str | Path) -> Path:
    """Draw the models over each other and write a PNG file.

    Args:
        reports: At least one.
        path: The file; its folder is made if need be.
    """
    has_samples = any(report.samples is not None for report in reports)
    figure = Figure(figsize=(11.2, 7.6), layout="constrained")
    grid = figure.subplots(2, 2)
    _by_margin(grid[0, 0], reports)
    _reliability(grid[0, 1], reports)
    _subsets(grid[1, 0], reports)
    if has_samples:
        _best_of_n(grid[1, 1], reports)
    else:
        grid[1, 1].axis("off")
    for axes in grid.flat[: 4 if has_samples else 3]:
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(path)
    return path


def _by_margin(axes: Axes, reports: Sequence[RewardReport]) -> None:
    for number, report in enumerate(reports):
        bins = report.pairs.measures.by_margin
        middles = [(b.low + b.high) / 2 for b in bins]
        colour = f"C{number}"
        _with_bars(axes, middles, [b.accuracy for b in bins], "o-", colour, _name(report))
        mean = report.pairs.measures.accuracy.mean
        axes.axhline(mean, color=colour, linestyle=":", label=f"all: {mean:.3f}")
    axes.set(title="Accuracy by margin", xlabel="margin of the judgement", ylabel="accuracy")


def _reliability(axes: Axes, reports: Sequence[RewardReport]) -> None:
    axes.plot([0.5, 1], [0.5, 1], color="grey", linestyle="--", label="calibrated")
    for number, report in enumerate(reports):
        scaled, colour = report.pairs.temperature, f"C{number}"
        _bins(axes, report.pairs.reliability, "o-", colour, _name(report))
        label = f"at temperature {scaled.temperature:.2f}"
        _bins(axes, scaled.reliability, "s:", colour, label)
    axes.set(title="Reliability", xlabel="confidence", ylabel="accuracy")


def _bins(axes: Axes, bins: Sequence[ReliabilityBin], style: str, colour: str, label: str) -> None:
    places = [b.confidence for b in bins]
    _with_bars(axes, places, [b.accuracy for b in bins], style, colour, label)


def _subsets(axes: Axes, reports: Sequence[RewardReport]) -> None:
    names = list(dict.fromkeys(name for report in reports for name in report.pairs.subsets))
    for number, report in enumerate(reports):
        found = [(i, report.pairs.subsets.get(name)) for i, name in enumerate(names)]
        known = [(i + 0.15 * number, e) for i, e in found if e is not None]
        places, estimates = [i for i, _ in known], [e for _, e in known]
        _with_bars(axes, places, estimates, "o", f"C{number}", _name(report))
    axes.set_xticks(range(len(names)), names, rotation=20 if len(names) > 3 else 0, fontsize=8)
    axes.axhline(0.5, color="grey", linestyle="--", label="chance")
    axes.set(title="Accuracy by subset", ylabel="accuracy")


def _best_of_n(axes: Axes, reports: Sequence[RewardReport]) -> None:
    known = [report for report in reports if report.samples is not None]
    for number, report in enumerate(known):
        assert report.samples is not None
        curve = report.samples.best_of_n
        if not number:
            ideal = [e.mean for e in curve.best_gold]
            axes.plot(curve.n, ideal, color="grey", linestyle="--", label="chosen by gold")
        _with_bars(axes, list(curve.n), list(curve.gold), "o-", f"C{number}", _name(report))
    axes.set_xscale("log", base=2)
    axes.set(title="Best of n", xlabel="n", ylabel="gold of the best-scoring one")


def _with_bars(
    axes: Axes,
    places: Sequence[float],
    estimates: Sequence[Estimate],
    style: str,
    colour: str,
    label: str,
) -> None:
    means = [e.mean for e in estimates]
    below = [e.mean - e.low for e in estimates]
    above = [e.high - e.mean for e in estimates]
    axes.errorbar(
        list(places), means, yerr=[below, above], fmt=style, color=colour, capsize=3, label=label
    )


def _name(report: RewardReport) -> str:
    parts = [part for part in Path(report.model).parts if part not in ("model", "reward_model")]
    return parts[-1] if parts else report.model
