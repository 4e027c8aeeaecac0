"""What a study found: points, fits and peaks of each curve, as plain values and as a table.

Proxy and gold are counted from the reference's mean, in standard deviations of the reference's
responses, so that both have one scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from textgym.agents.overoptimization.fits import Fit, distance, fit
from textgym.agents.overoptimization.plan import Cell, StudyConfig, StudyFolder

FORM_OF = {"best-of-n": "quadratic", "ppo": "logarithmic"}
# fmt: off
HEAD = (
    "labels", "noise", "held-out", "method", "kl_coef", "proxy", "gold", "gold peak", "fall",
    "sqrt KL at peak", "at end", "fitted peak", "alpha", "beta",
)
# fmt: on


@dataclass(frozen=True, kw_only=True)
class Series:
    """One reward along one curve.

    Attributes:
        means: (P,) from the reference's mean, in its standard deviations.
        half_widths: (P,) half of the 95 % interval over prompts or episodes.
        fit: The method's own form; None where there are too few points.
        other_fit: The other form.
    """

    means: tuple[float, ...]
    half_widths: tuple[float, ...]
    fit: Fit | None
    other_fit: Fit | None


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Proxy and gold against d for one reward model and one method.

    Attributes:
        cell: What was measured.
        d: (P,) square root of the KL from the reference, in the order of measurement.
        proxy: What was optimised.
        gold: What was meant.
        accuracy: The reward model's, on held-out pairs of responses by gold.
        first_rings: Alarm to the index of the point at which it first rang.
    """

    cell: Cell
    d: tuple[float, ...]
    proxy: Series
    gold: Series
    accuracy: float
    first_rings: dict[str, int]

    @property
    def peak(self) -> int:
        """Index of the highest gold; of PPO's, by the mean of each point and its neighbours."""
        values = np.array(self.gold.means)
        if self.cell.kind == "ppo" and len(values) > 2:
            padded = np.pad(values, 1, mode="edge")
            values = np.convolve(padded, np.full(3, 1 / 3), mode="valid")
        return int(values.argmax())

    @property
    def fall(self) -> float:
        """How far gold lies below its peak at the last point, at least 0."""
        return max(0.0, self.gold.means[self.peak] - self.gold.means[-1])


def curves(config: StudyConfig, folder: StudyFolder) -> list[Curve]:
    """Return every curve that has been measured, reward models in order of labels and noise."""
    rewards = folder.load(config.cells("reward"))
    found = []
    for kind in FORM_OF:
        for cell, result in folder.load(config.cells(kind)).items():
            base = folder.load([_best_of_n(cell)]).get(_best_of_n(cell))
            if base is not None and cell.reward in rewards:
                found.append(_curve(cell, result, base, rewards[cell.reward]))
    return sorted(found, key=lambda c: (c.cell.size, c.cell.noise, c.cell.kind, c.cell.name))


def _best_of_n(cell: Cell) -> Cell:
    return Cell(kind="best-of-n", size=cell.size, noise=cell.noise, seed=cell.seed)


def _curve(
    cell: Cell, result: dict[str, Any], base: dict[str, Any], reward: dict[str, Any]
) -> Curve:
    """Best of one is the reference: its means are the zero of both methods' curves."""
    rows, zero = result["rows"], base["rows"][0]
    d = distance([row["kl"] for row in rows])
    units = {"proxy": base["proxy_std"], "gold": base["gold_std"]}
    series = {
        name: _series(cell.kind, d, rows, name, zero[name]["mean"], unit)
        for name, unit in units.items()
    }
    tokens = [row.get("tokens") for row in rows]
    rings = {name: tokens.index(at) for name, at in result.get("first_rings", {}).items()}
    accuracy = reward["held_out"]["accuracy"]["mean"]
    points = tuple(d.tolist())
    return Curve(cell=cell, d=points, accuracy=accuracy, first_rings=rings, **series)


def _series(
    kind: str, d: np.ndarray, rows: Sequence[dict[str, Any]], name: str, zero: float, unit: float
) -> Series:
    means = np.array([row[name]["mean"] - zero for row in rows]) / unit
    widths = np.array([(row[name]["high"] - row[name]["low"]) / 2 for row in rows]) / unit
    own = FORM_OF[kind]
    other = next(form for form in FORM_OF.values() if form != own)
    return Series(
        means=tuple(means.tolist()),
        half_widths=tuple(widths.tolist()),
        fit=fit(own, d, means),
        other_fit=fit(other, d, means),
    )


def as_plain(found: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return the curves as values for a JSON file."""
    return [
        {
            **asdict(curve),
            "peak": curve.peak,
            "fits": {
                name: [one.as_dict() for one in (series.fit, series.other_fit) if one]
                for name, series in (("proxy", curve.proxy), ("gold", curve.gold))
            },
        }
        for curve in found
    ]


def table(found: Sequence[Curve]) -> str:
    """Return a Markdown table, one row for each curve."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    lines += [f"| {' | '.join(_cells(curve))} |" for curve in found]
    return "\n".join(lines)


def _cells(curve: Curve) -> list[str]:
    cell, gold, own = curve.cell, curve.gold, curve.gold.fit
    peak = own.peak_seen if own is not None else None
    return [
        f"{cell.size:,}",
        f"{cell.noise:g}",
        f"{curve.accuracy:.3f}",
        f"{cell.kind}, seed {cell.seed}",
        "-" if cell.kl_coef is None else f"{cell.kl_coef:g}",
        f"{curve.proxy.means[-1]:+.2f}",
        f"{gold.means[-1]:+.2f} ± {gold.half_widths[-1]:.2f}",
        f"{gold.means[curve.peak]:+.2f}",
        f"{-curve.fall:.2f}" if curve.fall else "0",
        f"{curve.d[curve.peak]:.2f}",
        f"{curve.d[-1]:.2f}",
        "none seen" if peak is None else f"{peak:.2f}",
        "-" if own is None else f"{own.alpha:.2f}",
        "-" if own is None else f"{own.beta:.2f}",
    ]


def alarm_table(found: Sequence[Curve]) -> str:
    """Return a Markdown table of when each alarm first rang on PPO's curves, and what gold was."""
    watched = [curve for curve in found if curve.cell.kind == "ppo"]
    lines = ["| labels | noise | seed | kl_coef | alarm | sqrt KL | gold there | gold peak | at |"]
    lines.append("|" + "---|" * 9)
    for curve in watched:
        rings = sorted(curve.first_rings.items(), key=lambda item: item[1])
        for name, index in rings or [("none", -1)]:
            lines.append(_alarm_row(curve, name, index))
    return "\n".join(lines)


def _alarm_row(curve: Curve, name: str, index: int) -> str:
    cell, gold, is_none = curve.cell, curve.gold.means, index < 0
    where = ["-", "-"] if is_none else [f"{curve.d[index]:.2f}", f"{gold[index]:+.2f}"]
    row = [f"{cell.size:,}", f"{cell.noise:g}", str(cell.seed), f"{cell.kl_coef:g}", name, *where]
    row += [f"{gold[curve.peak]:+.2f}", f"{curve.d[curve.peak]:.2f}"]
    return f"| {' | '.join(row)} |"
