"""`textgym overoptimize`: one command from an id to figures and tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textgym.cli.main import main

SMALL = [
    *("RLHF-Summarize-v0", "--env-kwarg", "max_new_tokens=16", "--env-kwarg", "device=cpu"),
    *("--data-sizes", "8", "--noises", "0,0.5", "--kl-coefs", "", "--n-prompts", "8"),
    *("--n-samples", "8", "--workers", "2"),
]


def test_a_small_study_in_two_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "study"
    assert main(["overoptimize", *SMALL, "--output", str(output)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("best-of-n, seed 0") == 2 and "gold.png" in shown
    assert (output / "curves.png").is_file() and not (output / "alarms.png").exists()
    assert (output / "results.md").read_text("utf-8").startswith("| labels | noise |")
    results = json.loads((output / "results.json").read_text("utf-8"))
    assert [row["cell"]["noise"] for row in results] == [0.0, 0.5]
    assert len(results[0]["d"]) == 4 and results[0]["fits"]["gold"][0]["form"] == "quadratic"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RLHF-Sumarize-v0"], "did you mean 'RLHF-Summarize-v0'"),
        (["Probe-ExactKL-v0"], "Probe-ExactKL-v0 has no gold utility"),
        (["RLHF-Summarize-v0", "--noises", "0,x"], "--noises must be numbers with commas"),
        (["RLHF-Summarize-v0", "--data-sizes", "4"], "data_sizes must each be at least 8"),
        (["RLHF-Summarize-v0", "--workers", "-1"], "workers must be at least 1, got -1"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["overoptimize", *arguments, "--output", str(tmp_path / "study")]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "cell" not in line]
    assert message in lines[-1]
    assert not (tmp_path / "study").exists()
