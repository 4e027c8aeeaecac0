"""`benchmarks.memory` counts what it says, and its estimate holds for a small iteration."""

from __future__ import annotations

import subprocess

import pytest

from benchmarks.memory import buffer_bytes_per_transition, case, measured, row


def test_the_buffer_keeps_to_forty_bytes_and_stock_does_not() -> None:
    found = buffer_bytes_per_transition()
    # Four float32, an id and a position of 16 bits, two flags; ids and bounds of segments.
    assert found["ours"] == pytest.approx(16 + 4 + 2 + (112 * 2 + 16 + 8) / 48, abs=0.3)
    assert found["ours"] <= 40
    assert found["stable_baselines3"] > 10 * found["ours"]


def test_one_case_in_its_own_process() -> None:
    found = measured(case("scratch:layers=2,width=128,heads=4", 8, 24), "cpu")
    assert found["tokens"] > 0 and found["parameters"] > 400_000
    assert sum(found["parts"].values()) == found["estimate"]
    # Small iterations drown in what libraries take: the goal of 30 % is measured on larger ones.
    assert 0.4 < found["estimate"] / found["measured"] < 2.5
    assert row(found)[0] == "scratch:layers=2,width=128,heads=4"


def test_a_case_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], returncode=1, stdout="", stderr="ValueError: heads")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(RuntimeError, match="n_envs': 2.*ValueError: heads"):
        measured(case("scratch:layers=1,width=10,heads=3", 2, 4), "cpu")
