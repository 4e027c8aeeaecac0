"""Averages, differences and their intervals by hand; one figure, one table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from textgym.agents.dependence.figures import draw
from textgym.agents.dependence.plan import DependenceConfig, DependenceFolder
from textgym.agents.dependence.results import along, as_plain, findings, table
from textgym.agents.storage.checkpoint import save_json


def estimate(mean: float, half: float, count: int = 8) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half, "count": count}


@pytest.fixture
def measured(tmp_path: Path) -> tuple[DependenceConfig, DependenceFolder]:
    config = DependenceConfig(env_id="E", budgets=(9.0,), dropouts=(0.5,), n_seeds=2)
    folder = DependenceFolder(tmp_path)
    folder.claim(config)
    for cell in config.cells():
        row = {
            "labels": 100 if cell.budget is None else cell.budget,
            "apparent": estimate(0.6 + 0.1 * cell.bias + 0.02 * cell.seed, 0.03),
            "apparent_unseen": estimate(0.6, 0.03),
            "autonomous": estimate(0.55, 0.04),
            "gold": estimate(1.5, 0.1),
            "length": estimate(20.0 + cell.bias, 1.0),
        }
        save_json(folder.result(cell), row)
    return config, folder


def test_seeds_are_averaged_and_differences_have_an_interval(
    measured: tuple[DependenceConfig, DependenceFolder],
) -> None:
    found = findings(*measured)
    assert len(found) == 3 + 2 + 2
    (most,) = [f for f in found if (f.bias, f.budget, f.dropout) == (2.0, None, None)]
    assert most.apparent.mean == pytest.approx(0.81)
    assert most.dependence.mean == pytest.approx(0.26)
    assert most.by_seed == pytest.approx((0.25, 0.27))
    # Two seeds: each half width over the square root of 2; then the two in quadrature.
    assert most.dependence.half_width == pytest.approx(0.05 / 2**0.5)
    assert most.apparent.count == 16
    assert as_plain(measured[0], found)["findings"][0]["budget"] is None


def test_axes_end_with_no_limit(measured: tuple[DependenceConfig, DependenceFolder]) -> None:
    found = findings(*measured)
    assert [f.bias for f in along(found, "bias")] == [0.0, 1.0, 2.0]
    assert [(f.bias, f.budget) for f in along(found, "budget")] == [
        (0.0, 9.0),
        (0.0, None),
        (2.0, 9.0),
        (2.0, None),
    ]
    assert [f.dropout for f in along(found, "dropout")] == [0.5, None, 0.5, None]


def test_the_table_and_the_figure(
    measured: tuple[DependenceConfig, DependenceFolder], tmp_path: Path
) -> None:
    found = findings(*measured)
    lines = table(found).splitlines()
    assert len(lines) == 2 + len(found)
    assert "| 2 | no limit | never | 100 |" in lines[-1] and "0.260 ± 0.035" in lines[-1]
    assert draw(found, tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_missing_is_said(tiny_config: Callable[..., DependenceConfig], tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        findings(tiny_config(), DependenceFolder(tmp_path))
