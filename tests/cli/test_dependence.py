"""`textgym dependence`: one command from a teacher to a table and a figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textgym.cli.main import main
from textgym.envs_registry.summarize import BUNDLE

SMALL = [
    *("--env-kwarg", "max_new_tokens=16", "--env-kwarg", "device=cpu", "--biases", "0,2"),
    *("--budgets", "6", "--dropouts=", "--n-steps", "64", "--n-envs", "4", "--workers", "1"),
    *("--rollout-steps", "16", "--n-train-prompts", "8", "--n-prompts", "6"),
]


@pytest.mark.skipif(
    not BUNDLE.folder.is_dir(), reason=f"the models of {BUNDLE.env_id} are not built"
)
def test_one_command_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run"
    command = ["dependence", "RLHF-Summarize-v0", *SMALL, "--output", str(output)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "| bias | budget |" in printed and str(output / "dependence.png") in printed
    results = json.loads((output / "results.json").read_text(encoding="utf-8"))
    settings = [(f["bias"], f["budget"], f["dropout"]) for f in results["findings"]]
    assert settings == [(0.0, None, None), (2.0, None, None), (0.0, 6.0, None), (2.0, 6.0, None)]
    assert all(f["labels"] <= 6 for f in results["findings"][2:])
    assert (output / "results.md").read_text(encoding="utf-8") in printed + "\n"
    times = {path: path.stat().st_mtime_ns for path in (output / "cells").iterdir()}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in (output / "cells").iterdir()} == times


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RLHF-Summarize-v0", "--biases", "a"], "--biases must be numbers"),
        (["RLHF-Summarize-v0", "--dropouts", "2"], "dropouts must each lie between 0 and 1"),
        (["RLHF-CartPole-v0"], "has no text"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dependence", *arguments, "--output", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
