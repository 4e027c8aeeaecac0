"""`textgym benchmark`: a run, what it leaves, and that it goes on where it stopped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from textgym.agents.benchmark.fingerprint import fingerprint_of
from textgym.agents.benchmark.plan import ROWS, BenchmarkConfig, Cell
from textgym.agents.feedback_loop.control import ControlLearner
from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.storage.checkpoint import load_json
from textgym.cli import feedback_loop
from textgym.cli.benchmark_control import loop_command
from textgym.cli.flags import config_from
from textgym.cli.main import main
from textgym.cli.manual_parser import ManualParser
from textgym.feedback.segment_feedback import SegmentFeedbackConfig
from textgym.intervals import Estimate

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
    assert run["fingerprint"] == known["fingerprint"] == fingerprint_of("Probe-Copy-v0")
    world = load_json(folder / "cells" / "TwoState-v0-ppo-0.json")
    assert world["trained"]["count"] == 8 and len(world["rollouts"][0]["actions"]) == 100
    assert world["command"] == (
        "stable_baselines3.PPO('MlpPolicy', make_vec_env('TwoState-v0', n_envs=8, seed=0), "
        "seed=0, device='cpu', n_steps=256).learn(600)"
    )
    assert world["exact"]["measure"] == "mean regret" and 0 < world["exact"]["found"] < 1.3
    table = (folder / "results.md").read_text("utf-8")
    assert re.search(r"\| TwoState-v0 .*\| 0/1, mean regret at most 0\.\d{3} \|", table)

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
    ("env_id", "budget", "rounds", "segment_length"),
    [("RLHF-CartPole-v0", 200, 8, 50), ("RLHF-LunarLander-v0", 4000, 10, 25)],
)
def test_the_command_on_control_is_the_documented_one(
    env_id: str, budget: float, rounds: int, segment_length: int
) -> None:
    config = BenchmarkConfig(env_ids=("Probe-Copy-v0",), eval_prompts=64)
    parser = ManualParser("textgym feedback-loop", description="")
    feedback_loop.add_arguments(parser)
    args = parser.parse_args(loop_command(config, Cell(env_id=env_id, algo="ppo", seed=2)))
    expected = LoopPlan(budget=budget, rounds=rounds, eval_episodes=64, seed=2)
    assert config_from(args, LoopPlan) == expected and not args.baseline and args.env == env_id
    assert config_from(args, SegmentFeedbackConfig).segment_length == segment_length


TINY_LOOP = (
    "--budget 12 --rounds 2 --initial-share-of-steps 0.2 --segment-length 20 --epochs 3 --members 2"
)


def test_control_is_trained_from_labels_and_goes_on_where_it_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("textgym.agents.run_defaults.LOOP_FLAGS", {"RLHF-CartPole-v0": TINY_LOOP})
    cell = folder / "cells" / "RLHF-CartPole-v0-ppo-0.json"
    run = folder / "runs" / "RLHF-CartPole-v0-ppo-0"
    small = ("RLHF-CartPole-v0", "--steps", "3400", "--eval-prompts", "4")

    # It stops in the last round, before that is saved.
    ask, act = ControlLearner.ask, ControlLearner.act
    asked: list[float] = []

    def dying(learner: ControlLearner, index: int, *rest: Any) -> int:
        if index == 2:
            raise KeyboardInterrupt
        return act(learner, index, *rest)

    def counted(learner: ControlLearner, allowed: float) -> int:
        asked.append(allowed)
        return ask(learner, allowed)

    monkeypatch.setattr(ControlLearner, "act", dying)
    assert benchmark(folder, *small) == 2
    assert "textgym feedback-loop: interrupted" in capsys.readouterr().err
    assert not cell.is_file() and (run / "seed-0" / "state").is_dir()
    monkeypatch.setattr(ControlLearner, "act", act)
    monkeypatch.setattr(ControlLearner, "ask", counted)
    assert benchmark(folder, *small) == 0 and asked == []  # of the first two rounds nothing again

    found, result = load_json(cell), load_json(run / "result.json")
    assert found["command"] == (
        f"textgym feedback-loop RLHF-CartPole-v0 --seed 0 --no-baseline {TINY_LOOP} "
        "--total-steps 3400 --eval-episodes 4"
    )
    (seed,) = result["seeds"]
    assert seed["true_reward_return"] is None
    assert found["labels"] == seed["labels"] == 12 and found["steps"] == 2728
    assert found["trained"] == seed["rounds"][-1]["true_return"] and found["trained"]["count"] == 4
    # The minutes of the life that was cut are counted too.
    assert [row["seconds"] > 0 for row in seed["rounds"]] == [True] * 3
    assert found["minutes"] == pytest.approx(sum(r["seconds"] for r in seed["rounds"]) / 60)
    lengths = [len(episode["actions"]) for episode in found["rollouts"]]
    assert lengths == [episode["gold_score"] for episode in found["rollouts"]]
    assert len(lengths) == 5
    is_solved = found["trained"]["mean"] >= 475
    assert f"| {int(is_solved)}/1 |" in (folder / "results.md").read_text("utf-8")

    # What the card says of it, and whoever gives its command gets the same.
    row = {"RLHF-CartPole-v0": ROWS["RLHF-CartPole-v0"]}
    monkeypatch.setattr("textgym.cli.cards.ROWS", row)  # the gallery would make them all
    assert main(["cards", "RLHF-CartPole-v0", "--figures", str(folder)]) == 0
    card = Path("docs/environments/RLHF-CartPole-v0.md").read_text("utf-8")
    trained, mark = Estimate(**found["trained"]), "solved" if is_solved else "not solved"
    assert f"- `{found['command']}`: {trained}, {mark}, 12 labels, 2,728 steps in" in card
    assert "\n### Trained\n" in card and "| trained (1 run) |" in card
    assert main([*found["command"].split()[1:], "--output", str(folder / "again")]) == 0
    (again,) = load_json(folder / "again" / "result.json")["seeds"]
    assert again["rounds"][-1]["true_return"] == found["trained"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "PROBE"], "suite must be one of RLHF, .*, got 'PROBE'; did you mean 'PROBES'"),
        (["--suite", "PROBES", "--envs", "TwoState-v0"], "--suite or --envs, got both"),
        (["--envs", "Probe-Coppy-v0"], "'Probe-Coppy-v0'.*did you mean 'Probe-Copy-v0'"),
        (["--envs", "TextMaze-v0-Corridor"], "did you mean 'TextMaze-Corridor-v0'"),
        (
            ["--envs", "RLHF-CartPole-v0", "--algo", "a2c"],
            "'RLHF-CartPole-v0' cannot be benchmarked: it is paid by feedback alone.*got 'a2c'",
        ),
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
