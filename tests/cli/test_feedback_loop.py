"""`textgym feedback-loop`: one command from comparisons to a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textgym.cli.main import main

SMALL = [
    *("RLHF-CartPole-v0", "--budget", "12", "--rounds", "2", "--total-steps", "3400"),
    *("--initial-share-of-steps", "0.2", "--eval-episodes", "2", "--epochs", "3"),
    *("--segment-length", "20", "--members", "2"),
]


def test_a_small_run_and_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["feedback-loop", *SMALL, "--output", str(tmp_path / "run"), "--n-seeds", "2"]
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "from feedback" in table and table.endswith("result.json\n")
    result = json.loads((tmp_path / "run" / "result.json").read_text("utf-8"))
    assert [seed["seed"] for seed in result["seeds"]] == [0, 1]
    for seed in result["seeds"]:
        assert seed["labels"] == 12 and seed["spent"] == 12.0
        assert [row["steps"] for row in seed["rounds"]] == [680, 1704, 2728]
        assert seed["share"] == seed["final_return"] / seed["true_reward_return"]
    assert result["least_share"] == min(seed["share"] for seed in result["seeds"])
    # The same command again finds all of it done.
    (tmp_path / "run" / "result.json").unlink()
    assert main(command) == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text("utf-8")) == result
    assert main([*command, "--segment-length", "10"]) == 2
    assert "holds a run with other settings" in capsys.readouterr().err


def test_a_text_environment(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["feedback-loop", "RLHF-Summarize-v0", "--output", str(tmp_path / "run")]
    command += ["--budget", "12", "--rounds", "1", "--total-steps", "64", "--eval-episodes", "4"]
    command += ["--feedback-kind", "comparison+score", "--members", "1", "--epochs", "1"]
    command += ["--n-reference", "8", "--n-envs", "2", "--language-weight", "0.5", "--no-baseline"]
    command += ["--teacher", "score_noise=0.2"]
    for kwarg in ("max_prompt_tokens=24", "max_new_tokens=8"):
        command += ["--env-kwarg", kwarg]
    for name in ("reference_model", "tokenizer"):
        command += ["--env-kwarg", f"{name}={tiny_model_folder}"]
    assert main(command) == 0
    assert "result.json" in capsys.readouterr().out
    result = json.loads((tmp_path / "run" / "result.json").read_text("utf-8"))
    (seed,) = result["seeds"]
    assert (seed["labels"], seed["spent"], seed["share"]) == (12, 12.0, None)
    assert [row["asked"] for row in seed["rounds"]] == [12, 0]
    assert result["config"]["reward"]["language_weight"] == 0.5
    assert result["config"]["plan"]["rounds"] == 1  # what is not said is the plan of text
    assert result["config"]["plan"]["initial_share_of_steps"] == 0.0
    assert main([*command, "--candidates", "7"]) == 2
    assert "holds a run with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RLHF-Cartpole-v0"], "did you mean 'RLHF-CartPole-v0'"),
        (
            ["RLHF-Summarize-v0", "--segment-length", "5", "--width", "8"],
            "--segment-length, --width: only for control environments, got 'RLHF-Summarize-v0'",
        ),
        (
            ["RLHF-CartPole-v0", "--candidates", "2", "--env-kwarg", "a=1"],
            "--candidates, --env-kwarg: only for text environments, got 'RLHF-CartPole-v0'",
        ),
        (["RLHF-Summarize-v0", "--budget", "0.5"], "budget 0.5 cannot buy one label"),
        (["RLHF-Summarize-v0", "--feedback-kind", "vote"], "feedback_kind must be one of"),
        (["RLHF-Summarize-v0", "--env-kwarg", "max_tokens=3"], "max_new_tokens"),
        (["Probe-ExactKL-v0"], "needs a gold utility, which 'Probe-ExactKL-v0' has not"),
        (["RLHF-CartPole-v0", "--budget", "0.5"], "budget 0.5 cannot buy one label"),
        (["RLHF-CartPole-v0", "--teacher", "betta=2"], "'betta'; did you mean 'beta'?"),
        (["RLHF-CartPole-v0", "--n-seeds", "0"], "n_seeds must be at least 1"),
        (["RLHF-CartPole-v0", "--price-comparison", "-1"], "price comparison must be"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["feedback-loop", *arguments, "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.strip().count("\n") == 0
    assert not (tmp_path / "run").exists()


def test_text_commands_name_the_one_for_control(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "RLHF-CartPole-v0"]) == 2
    assert "has no text: `textgym feedback-loop RLHF-CartPole-v0`" in capsys.readouterr().err
    assert main(["envs", "--verbose"]) == 0
    assert "segment_length=INT" in capsys.readouterr().out
