"""`textgym benchmark`: a run, what it leaves, and that it goes on where it stopped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from textgym.agents.storage.checkpoint import load_json
from textgym.cli.main import main

SMALL = ("--seeds", "1", "--steps", "600", "--eval-prompts", "8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "b"


def benchmark(folder: Path, ids: str, *more: str) -> int:
    return main(["benchmark", "--envs", ids, "--output", str(folder), *SMALL, *more])


def test_a_text_and_a_world(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark(folder, "Probe-Copy-v0,TwoState-v0") == 0
    printed = capsys.readouterr().out
    assert (folder / "results.md").read_text("utf-8").strip() in printed
    assert printed.count("| Probe-Copy-v0 | gold_score |") == 1
    run = load_json(folder / "cells" / "Probe-Copy-v0-ppo-0.json")
    # The command is one that anybody can give.
    assert run["command"].startswith("textgym train Probe-Copy-v0 --algo ppo --seed 0")
    assert "--steps 600" in run["command"] and run["steps"] >= 600 and run["exact"] is None
    (config,) = (folder / "runs" / "Probe-Copy-v0-ppo-0").glob("*/config.json")
    assert load_json(config)["preset"] == "probe"
    assert len(run["rollouts"]) == 5 and set(run["rollouts"][0]) >= {"prompt", "response"}
    known = load_json(folder / "cells" / "Probe-Copy-v0-known.json")
    assert known["best_known"]["mean"] == 1.0 and known["random"]["mean"] < 0.6
    assert set(known["rollouts"]) == {"random", "best_known"}
    world = load_json(folder / "cells" / "TwoState-v0-ppo-0.json")
    assert world["trained"]["count"] == 8 and len(world["rollouts"][0]["actions"]) == 100

    # The same command measures nothing again; a cell that is missing is measured.
    untouched = folder / "cells" / "Probe-Copy-v0-ppo-0.json"
    before, missing = untouched.stat().st_mtime_ns, folder / "cells" / "TwoState-v0-known.json"
    missing.unlink()
    assert benchmark(folder, "Probe-Copy-v0,TwoState-v0") == 0
    assert untouched.stat().st_mtime_ns == before and missing.is_file()


def test_tags_are_written_by_the_language_model_that_is_trained(folder: Path) -> None:
    assert benchmark(folder, "RLHF-NER-v0", "--steps", "64") == 0
    run = load_json(folder / "cells" / "RLHF-NER-v0-ppo-0.json")
    assert run["command"].startswith("textgym train RLHF-NER-v0 --algo ppo --seed 0")
    # Hardly trained it is the reference still, far from the nothing of a network of its own.
    assert run["trained"]["mean"] > 0.3
    assert len(run["rollouts"]) == 5 and {"actions", "last"} <= set(run["rollouts"][0])


def test_where_the_optimum_is_exact_the_agent_is_measured_by_it(folder: Path) -> None:
    assert benchmark(folder, "Probe-ValueOnly-v0", "--steps", "128") == 0
    run = load_json(folder / "cells" / "Probe-ValueOnly-v0-ppo-0.json")
    assert run["exact"]["measure"] == "value error" and not run["exact"]["is_solved"]
    assert "| 0/1, value error at most 0." in (folder / "results.md").read_text("utf-8")


def test_what_is_known_of_control_is_measured_without_training(folder: Path) -> None:
    known = ("--seeds", "0", "--eval-prompts", "4", "--output", str(folder))
    assert main(["benchmark", "--envs", "RLHF-CartPole-v0", *known]) == 0
    found = load_json(folder / "cells" / "RLHF-CartPole-v0-known.json")
    assert found["metric"] == "gold_score" and found["best_known"]["mean"] == 500.0
    assert found["random"]["mean"] < 60.0 and found["reference"] is None
    assert [len(e["actions"]) == e["gold_score"] for e in found["rollouts"]["random"]] == [True] * 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "PROBE"], "suite must be one of RLHF, .*, got 'PROBE'; did you mean 'PROBES'"),
        (["--suite", "PROBES", "--envs", "TwoState-v0"], "--suite or --envs, got both"),
        (["--envs", "Probe-Coppy-v0"], "'Probe-Coppy-v0'.*did you mean 'Probe-Copy-v0'"),
        (["--envs", "TextMaze-v0-Corridor"], "did you mean 'TextMaze-Corridor-v0'"),
        (["--envs", "RLHF-CartPole-v0"], "is paid by feedback alone"),
        (["--envs", "TwoState-v0", "--seeds", "-1"], "n_seeds must be at least 0, got -1"),
        (["--envs", "TwoState-v0", "--workers", "0"], "workers must be at least 1, got 0"),
    ],
)
def test_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["benchmark", "--output", str(folder), *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_what_a_suite_leaves_out_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textgym.cli.benchmark.suite", lambda name: ("RLHF-Helpful-v0",))
    assert main(["benchmark", "--suite", "RLHF", "--output", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "RLHF-Helpful-v0 is left out: it needs dataset" in error
    assert "expected at least one environment, got none" in error
