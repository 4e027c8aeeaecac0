"""What every benchmark shares, and that each writes its ratios under names of the baseline."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare, env_step, growth, memory, report, update

NAMES = sorted({name for name, *_ in compare.RUNS})


def test_every_benchmark_has_the_flags_and_a_main() -> None:
    args = report.parse_arguments("", ["--json", "x", "--quick", "--device", "mps"])
    assert (args.json, args.quick, args.device, args.clock) == (Path("x"), True, "mps", "wall")
    for name in NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        assert callable(module.main) and "benchmarks.report" in module.parse_arguments.__module__


def test_repeats_follow_quick_unless_they_are_given() -> None:
    def repeats(*argv: str) -> Any:
        return report.parse_arguments("", argv, repeats=(5, 2)).repeats

    assert (repeats(), repeats("--quick"), repeats("--quick", "--repeats", "9")) == (5, 2, 9)
    assert report.parse_arguments("", [], repeats=None).repeats is None


def test_contenders_take_turns_and_the_first_round_does_not_count() -> None:
    now, played = [0.0], []

    def work(name: str, seconds: list[float]) -> Callable[[], int]:
        def play() -> int:
            played.append(name)
            now[0] += seconds.pop(0)
            return 12

        return play

    contenders = {"a": work("a", [100, 2, 3]), "b": work("b", [100, 6, 4])}
    rates = report.paired_rates(contenders, 2, lambda: now[0])
    assert played == ["a", "b"] * 3
    assert rates == {"a": [6.0, 4.0], "b": [2.0, 3.0]}
    # The median of 3 and 4/3, not the ratio of the medians.
    assert report.median_ratio(rates, "a", "b") == pytest.approx((3 + 4 / 3) / 2)


def test_tables_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_table("title", ("name", "value"), [("x", 1.23456), ("long", 12345.6)])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "title",
        "  name  value ",
        "  ----  ------",
        "  x     1.23  ",
        "  long  12,346",
    ]


def test_the_file_holds_ratios_details_and_machine(tmp_path: Path) -> None:
    report.write_json(None, "x", {}, {})
    report.write_json(tmp_path / "x.json", "x", {"speed": 2.0}, {"rows": 3})
    content = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert content["ratios"] == {"speed": 2.0} and content["details"] == {"rows": 3}
    assert {"torch", "threads", "gpu"} <= set(content["machine"])


def toy_update(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = {"model": "scratch:layers=1,width=8,heads=1", "prompt_tokens": 6, "response_tokens": 4}
    monkeypatch.setattr(update, "Contenders", functools.partial(update.Contenders, **toy))


def toy_env_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env_step, "measure", lambda *_: env_step_of(2, 1, 1))


env_step_of = env_step.measure


def toy_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"parameters": 1000, "estimate": 90, "measured": 100}
    monkeypatch.setattr(memory, "measured", lambda one, device: {**one, **found})


def toy_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "decode_costs", lambda points, *_: dict.fromkeys(points, 2.0))
    bytes_of = growth.update_bytes
    monkeypatch.setattr(
        growth, "update_bytes", lambda count, _, device: bytes_of(count, 64, device)
    )


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize(
    ("module", "make_toy"),
    [
        (update, toy_update),
        (env_step, toy_env_step),
        (memory, toy_memory),
        (growth, toy_growth),
    ],
)
def test_a_whole_run_writes_ratios_that_the_baseline_knows(
    module: Any, make_toy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_toy(monkeypatch)
    file = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["benchmark", "--quick", "--json", str(file)])
    module.main()
    ratios = json.loads(file.read_text(encoding="utf-8"))["ratios"]
    assert ratios and set(ratios) <= set(compare.read_baseline(compare.BASELINE))
