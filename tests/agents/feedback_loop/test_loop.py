"""The order of a round, and a run that goes on where it stopped; the learner is a fake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textgym.agents.feedback_loop.loop import FeedbackLoop
from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.storage.checkpoint import CheckpointError, load_json, save_json
from textgym.intervals import Estimate, mean_interval


class Fake:
    """Answers every question of the odd rounds; dies at the beginning of round `dies_at`."""

    total_steps = 100

    def __init__(self, dies_at: int | None = None) -> None:  # noqa: D107
        self.dies_at, self.calls = dies_at, []  # type: ignore[var-annotated]
        self.labels, self.asked, self.fits = 0, 0, 0

    def act(self, round_index: int, steps: int, report: Callable[[int], None]) -> int:
        if round_index == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append(f"act {round_index} {steps} after {self.fits} fits")
        report(steps)
        return steps

    def ask(self, allowed_in_all: float) -> int:
        self.calls.append(f"ask {allowed_in_all:g}")
        count = int(allowed_in_all) - self.asked
        self.asked += count
        return count

    def receive(self) -> int:
        if len([call for call in self.calls if call.startswith("ask")]) % 2 == 1:
            self.labels = self.asked
        return self.labels

    def fit(self) -> dict[str, Any]:
        self.calls.append(f"fit {self.labels}")
        self.fits += 1
        return {"comparison": {"count": self.labels}}

    def evaluate(self, episodes: int) -> Estimate:
        return mean_interval([10.0 * self.fits + episodes])

    @property
    def spent(self) -> float:
        return float(self.labels)

    def write_state(self, folder: Path) -> None:
        numbers = {"calls": self.calls, "labels": self.labels}
        save_json(folder / "fake.json", {**numbers, "asked": self.asked, "fits": self.fits})

    def close(self) -> None:
        pass

    def read_state(self, folder: Path) -> None:
        for name, value in load_json(folder / "fake.json").items():
            setattr(self, name, value)


PLAN = LoopPlan(budget=10, rounds=3, initial_share=0.5, initial_share_of_steps=0.1, eval_episodes=1)


def test_rounds(tmp_path: Path) -> None:
    learner, shown = Fake(), []
    loop = FeedbackLoop(PLAN, learner, tmp_path, {})
    rows = loop.run(lambda done, words: shown.append((done, words)))
    assert learner.calls == [
        "act 0 10 after 0 fits",
        "ask 5",
        "fit 5",
        "act 1 30 after 1 fits",
        "ask 7.5",  # nobody answers: nothing new to learn from
        "act 2 30 after 1 fits",
        "ask 10",
        "fit 10",
        "act 3 30 after 2 fits",  # the last improvement asks nothing
    ]
    assert [row.steps for row in rows] == [10, 40, 70, 100]
    assert [row.labels for row in rows] == [5, 5, 10, 10]
    assert [row.asked for row in rows] == [5, 2, 3, 0]
    assert [row.true_return["mean"] for row in rows] == [1.0, 11.0, 11.0, 21.0]
    assert [bool(row.held_out) for row in rows] == [True, False, True, False]
    assert shown[-1] == (30, "round 3/3, 10 labels, return 11")


def test_seconds_are_of_acting_and_learning_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("textgym.agents.feedback_loop.loop.time.monotonic", lambda: now[0])

    def taking(method: Callable, seconds: float) -> Callable:
        def slow(*arguments: Any) -> Any:
            now[0] += seconds
            return method(*arguments)

        return slow

    learner = Fake()
    for name, seconds in (("act", 1.0), ("evaluate", 100.0), ("fit", 10.0)):
        setattr(learner, name, taking(getattr(learner, name), seconds))
    rows = FeedbackLoop(PLAN, learner, tmp_path, {}).run(lambda done, words: None)
    assert [row.seconds for row in rows] == [11.0, 1.0, 11.0, 1.0]
    # A run that goes on knows those of its earlier lives.
    again = FeedbackLoop(PLAN, Fake(), tmp_path, {}).run(lambda done, words: None)
    assert [row.seconds for row in again] == [11.0, 1.0, 11.0, 1.0]


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    whole = FeedbackLoop(PLAN, Fake(), tmp_path / "whole", {}).run(lambda done, words: None)
    with pytest.raises(KeyboardInterrupt):
        FeedbackLoop(PLAN, Fake(dies_at=2), tmp_path / "cut", {}).run(lambda done, words: None)
    done: list[int] = []
    learner = Fake()
    rows = FeedbackLoop(PLAN, learner, tmp_path / "cut", {}).run(lambda n, words: done.append(n))
    assert rows == whole and sum(done) == 100
    again = FeedbackLoop(PLAN, Fake(), tmp_path / "cut", {})
    assert again.run(lambda n, words: None) == whole  # a finished run does nothing


def test_other_settings_are_refused(tmp_path: Path) -> None:
    FeedbackLoop(PLAN, Fake(), tmp_path, {"env": "a"}).run(lambda done, words: None)
    with pytest.raises(CheckpointError, match="env: 'a' → 'b'"):
        FeedbackLoop(PLAN, Fake(), tmp_path, {"env": "b"})
