"""PPO on the probes: what the table of docs/plug-in.md is made by."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.probes import SCORE, TOKENS, Run, main, run_once, table_of
from textgym.agents.benchmark.exact import RELATIVE_REGRET, VALUE_ERROR
from textgym.agents.run_defaults import PRESETS, STEPS
from textgym.suites import PROBES


def test_every_probe_has_a_budget() -> None:
    assert set(TOKENS) == set(PROBES) <= set(STEPS) & set(PRESETS)


@pytest.mark.parametrize(
    ("env_id", "measure"),
    [
        ("Probe-Parity-v0", SCORE),
        ("Probe-ValueOnly-v0", VALUE_ERROR),
        ("Probe-ExactKL-v0", RELATIVE_REGRET),
    ],
)
def test_a_run_is_measured_and_hardly_trained_is_not_solved(env_id: str, measure: str) -> None:
    run = run_once(env_id, 0, tokens=64, n_envs=32)
    assert run.measure == measure and 0 <= run.found < 2 and run.seconds > 0
    assert not run.is_solved


def test_ppo_solves_constant_within_its_budget() -> None:
    assert run_once("Probe-Constant-v0", 0, TOKENS["Probe-Constant-v0"]).is_solved


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("env_id", TOKENS)
def test_ppo_solves(env_id: str, seed: int) -> None:
    assert run_once(env_id, seed, TOKENS[env_id]).is_solved


def test_thresholds_and_the_table() -> None:
    def run(env_id: str, measure: str, found: float) -> Run:
        return Run(env_id=env_id, seed=0, measure=measure, found=found, seconds=1.0)

    runs = [
        run("Probe-Copy-v0", SCORE, 0.95),
        run("Probe-Copy-v0", SCORE, 0.94),
        run("Probe-ValueOnly-v0", VALUE_ERROR, 0.05),
        run("Probe-ExactKL-v0", RELATIVE_REGRET, 0.011),
    ]
    assert [each.is_solved for each in runs] == [True, False, True, False]
    head, rows = table_of(runs, {run.env_id: 1_000 for run in runs})
    assert len(head) == len(rows[0]) == 8
    assert rows[0] == [
        *("Probe-Copy-v0", "1,000", "0.167", "0.200", "1.000"),
        *("score", "0.950, 0.940", "1 of 2"),
    ]
    assert rows[2][2:5] == ["", "", ""]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "probes.json"
    arguments = ["--env", "Probe-Constant-v0", "--seeds", "1", "--tokens", "64"]
    assert len(main([*arguments, "--json", str(file)])) == 1
    assert "| Probe-Constant-v0 | 64 |" in capsys.readouterr().out
    assert '"probes"' in file.read_text()
