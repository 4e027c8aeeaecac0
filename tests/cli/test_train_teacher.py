"""`textgym train` with a teacher: answers lie in the run's folder, and it comes back with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from textgym.cli.main import main
from textgym.feedback.store import FeedbackStore

ROWS, STEPS = 4, 60  # of a rollout
BUDGET = 14
SMALL = [
    *("--n-envs", str(ROWS), "--n-steps", str(STEPS), "--batch-size", "64", "--eval-prompts", "0"),
    "--quiet",
]
TEACHER = [
    *("--env-kwarg", "reward=teacher", "--env-kwarg", "teacher=score_noise=0.2"),
    *("--env-kwarg", f"teacher_budget={BUDGET}", "--env-kwarg", "reward_timing=deferred"),
]


def answers(path: Path) -> list[Any]:
    with FeedbackStore(path, create=False) as store:
        return [item.record for item in store.iterate()]


def books(run: Path) -> dict[str, Any]:
    (state,) = json.loads((run / "final" / "reward.json").read_text("utf-8"))["rewards"]
    broker: dict[str, Any] = state["broker"]
    return broker


@pytest.mark.filterwarnings("ignore:no episode of this rollout was scored")
def test_a_resumed_run_spends_what_is_left_of_the_budget(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    command = ["train", "RLHF-Summarize-v0", *SMALL, *TEACHER, "--output", str(runs)]
    assert main([*command, "--steps", str(ROWS * STEPS)]) == 0
    (run,) = runs.iterdir()
    first = answers(run / "feedback.db")
    assert 0 < len(first) < BUDGET and books(run)["budget"]["spent"] == len(first)
    resume = ["train", "--resume", str(run), "--quiet"]
    assert main([*resume, "--steps", str(3 * ROWS * STEPS)]) == 0
    both = answers(run / "feedback.db")
    assert both[: len(first)] == first and len(both) == BUDGET
    later = books(run)
    assert later["budget"]["spent"] == BUDGET and later["counts"]["unaffordable"] > 0
    assert later["round_index"] == 3 * STEPS - 1  # rounds are counted on


def test_a_store_of_ones_own_stays_the_one(tmp_path: Path) -> None:
    store = tmp_path / "mine.db"
    command = ["train", "RLHF-Summarize-v0", *SMALL, *TEACHER, "--output", str(tmp_path / "runs")]
    command += ["--env-kwarg", f"teacher_store={store}", "--steps", str(ROWS * STEPS)]
    assert main(command) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert answers(store) and not (run / "feedback.db").exists()
    # The store is gone: the run cannot go on as if it had asked nobody.
    store.unlink()
    assert main(["train", "--resume", str(run), "--quiet", "--steps", str(2 * ROWS * STEPS)]) == 2
