"""Ratios beside a baseline: what counts as worse, and what the files hold."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from benchmarks import compare
from benchmarks.compare import Known


def result(path: Path, **ratios: float) -> Path:
    content = {"benchmark": "x", "ratios": ratios, "details": {}, "machine": {"threads": 2}}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def baseline(path: Path, **entries: tuple[float, str]) -> Path:
    ratios = {name: {"value": value, "better": better} for name, (value, better) in entries.items()}
    path.write_text(json.dumps({"machine": {}, "ratios": ratios}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("better", "today", "verdict"),
    [
        ("higher", 1.71, "ok"),
        ("higher", 1.69, "worse"),
        ("higher", 2.31, "better"),
        ("lower", 2.34, "ok"),
        ("lower", 2.36, "worse"),
        ("lower", 1.7, "better"),
        ("machine", 100.0, "shown"),
        ("higher", None, "not measured"),
    ],
)
def test_verdicts_at_a_tolerance_of_15_per_cent(
    better: str, today: float | None, verdict: str
) -> None:
    assert Known(value=2.0, better=better).verdict(today, 0.15) == verdict


def test_a_direction_must_be_known() -> None:
    with pytest.raises(ValueError, match="got 'up'"):
        Known(value=1.0, better="up")


def test_status_and_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = baseline(tmp_path / "b.json", speed=(1.5, "higher"), cost=(1.2, "lower"))
    fine = result(tmp_path / "fine.json", speed=1.45, fresh=3.0)
    assert compare.main([str(fine), "--baseline", str(known)]) == 0
    table = capsys.readouterr().out
    assert [line.split() for line in table.splitlines()[4:]] == [
        ["cost", "1.2", "-", "not", "measured"],
        ["speed", "1.5", "1.45", "ok"],
        ["fresh", "-", "3", "new"],
    ]
    fallen = result(tmp_path / "fallen.json", speed=1.2)
    assert compare.main([str(fallen), "--baseline", str(known)]) == 1
    assert compare.main([str(fallen), "--baseline", str(known), "--tolerance", "0.3"]) == 0
    with pytest.raises(SystemExit):
        compare.main([str(fallen), "--tolerance", "1.5"])


def test_nothing_measured_is_a_failure(tmp_path: Path) -> None:
    assert compare.main([str(result(tmp_path / "empty.json"))]) == 1


def test_today_becomes_the_baseline(tmp_path: Path) -> None:
    known = baseline(tmp_path / "b.json", cost=(1.2, "lower"), kept=(9.0, "higher"))
    today = result(tmp_path / "today.json", cost=2.0, fresh=1.23456)
    assert compare.main([str(today), "--baseline", str(known), "--write"]) == 0
    assert compare.read_baseline(known) == {
        "cost": Known(value=2.0, better="lower"),
        "fresh": Known(value=1.235, better="higher"),
        "kept": Known(value=9.0, better="higher"),
    }


def test_unknown_benchmarks_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got 'rolout'"):
        compare.run_all(["rolout"], tmp_path, [])


def test_the_table_of_runs_names_modules_that_exist() -> None:
    for name, *_ in compare.RUNS:
        assert importlib.util.find_spec(f"benchmarks.{name}") is not None


def test_the_committed_baseline_can_be_read() -> None:
    known = compare.read_baseline(compare.BASELINE)
    assert {"loop_over_generate", "settled_over_conventional"} <= set(known)
    assert all(entry.value > 0 for entry in known.values())
