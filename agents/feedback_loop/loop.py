"""The rounds: act, ask, receive, learn the reward, measure, save. What acts and learns is a part.

The same loop serves every family of environments; each brings a `LoopLearner`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.storage.checkpoint import (
    CheckpointError,
    is_saved_folder,
    load_json,
    open_folder,
    save_folder,
    save_json,
)
from textgym.intervals import Estimate

STATE_FOLDER = "state"
_STATE = "loop.json"


class LoopLearner(Protocol):
    """What acts, asks, learns and is measured.

    Attributes:
        total_steps: Steps of the environment that a run takes.
    """

    total_steps: int

    def act(self, round_index: int, steps: int, report: Callable[[int], None]) -> int:
        """Record about `steps` steps; from the first learned reward on the policy learns from them.

        Args:
            round_index: From 0; all that is drawn in a round follows from the seed and it.
            steps: How many; whole rollouts, so it may be some fewer.
            report: Called with the number of steps done since the last call.

        Returns:
            How many it were.
        """
        ...

    def ask(self, allowed_in_all: float) -> int:
        """Ask as many questions as the money allows that may have been spent by now."""
        ...

    def receive(self) -> int:
        """Take in the answers that have come; return how many there are in all."""
        ...

    def fit(self) -> dict[str, Any]:
        """Learn the reward anew from all answers; return what was measured on held-out ones.

        Where the answers say of nothing that it is better than something else (all tie), nothing
        is learned and nothing returned: the next round asks on.
        """
        ...

    def evaluate(self, episodes: int) -> Estimate:
        """Play without exploring and return the true return."""
        ...

    @property
    def spent(self) -> float:
        """What the labels have cost."""
        ...

    def write_state(self, folder: Path) -> None:
        """Write all that a resumed run needs into an existing folder."""
        ...

    def read_state(self, folder: Path) -> None:
        """Take back what `write_state` wrote."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass(frozen=True, kw_only=True)
class RoundRow:
    """One round.

    Attributes:
        round_index: From 0; the last improvement, without asking, has a row of its own.
        steps: Steps of the environment so far.
        asked: Questions asked in this round.
        labels: Answers so far.
        spent: What they have cost so far.
        held_out: Kind of feedback to what its term is worth on labels held out; empty where no
            reward was learned in this round.
        true_return: Mean over episodes of the environment's own return, before this round's reward
            is used.
        seconds: What acting, asking and learning took, without measuring the true return; 0 in the
            states of earlier versions.
    """

    round_index: int
    steps: int
    asked: int
    labels: int
    spent: float
    held_out: Mapping[str, Any]
    true_return: Mapping[str, float]
    seconds: float = field(default=0.0, compare=False)


@dataclass
class LoopState:
    """Where a run stands."""

    rows: list[RoundRow] = field(default_factory=list)

    @property
    def next_round(self) -> int:
        """The round to do next."""
        return len(self.rows)

    @property
    def steps(self) -> int:
        """Steps done."""
        return self.rows[-1].steps if self.rows else 0


class FeedbackLoop:
    """Runs the rounds, and goes on where an interrupted run in the same folder stopped."""

    def __init__(
        self, plan: LoopPlan, learner: LoopLearner, folder: Path, settings: Mapping[str, Any]
    ) -> None:
        """Take a plan and who carries it out.

        Args:
            plan: Rounds, steps, money.
            learner: Acts, asks and learns.
            folder: Where the state is kept.
            settings: All that must be equal for a run to be continued; JSON values.

        Raises:
            CheckpointError: The folder holds a run with other settings.
        """
        self.plan, self.learner, self.folder = plan, learner, Path(folder) / STATE_FOLDER
        self.settings = {**settings, "plan": asdict(plan)}
        self.state = LoopState()
        if is_saved_folder(self.folder):
            self._load()

    def run(self, report: Callable[[int, str], None]) -> list[RoundRow]:
        """Do what is left of the rounds.

        Args:
            report: Called with steps done since the last call and what to show beside them.

        Returns:
            A row for each round, and one for the last improvement.
        """
        report(self.state.steps, "")
        while self.state.next_round <= self.plan.rounds:
            self.state.rows.append(self._round(self.state.next_round, report))
            save_folder(self.folder, self._write)
        return self.state.rows

    def _round(self, index: int, report: Callable[[int, str], None]) -> RoundRow:
        steps = self.plan.steps_of(index, self.learner.total_steps)
        words, began = self._words(index), time.monotonic()
        done = self.learner.act(index, steps, lambda done: report(done, words))
        acted = time.monotonic()
        true_return = self.learner.evaluate(self.plan.eval_episodes)
        measured = time.monotonic()
        asked, labels, held_out = 0, self._labels(), {}
        if index < self.plan.rounds:
            asked = self.learner.ask(self.plan.budget_until(index))
            labels = self.learner.receive()
            if labels > self._labels():
                held_out = self.learner.fit()
        return RoundRow(
            round_index=index,
            steps=self.state.steps + done,
            asked=asked,
            labels=labels,
            spent=self.learner.spent,
            held_out=held_out,
            true_return=true_return.as_dict(),
            seconds=acted - began + time.monotonic() - measured,
        )

    def _labels(self) -> int:
        return self.state.rows[-1].labels if self.state.rows else 0

    def _words(self, index: int) -> str:
        if not self.state.rows:
            return f"round {index}/{self.plan.rounds}"
        last = self.state.rows[-1]
        return (
            f"round {index}/{self.plan.rounds}, {last.labels} labels, "
            f"return {last.true_return['mean']:.4g}"
        )

    def _write(self, folder: Path) -> None:
        rows = [asdict(row) for row in self.state.rows]
        save_json(folder / _STATE, {"settings": self.settings, "rows": rows})
        self.learner.write_state(folder)

    def _load(self) -> None:
        open_folder(self.folder)
        saved = load_json(self.folder / _STATE)
        theirs = saved["settings"]
        changed = [
            f"{name}: {theirs.get(name)!r} → {value!r}"
            for name, value in self.settings.items()
            if theirs.get(name) != value
        ]
        if changed:
            raise CheckpointError(
                f"{str(self.folder)!r} holds a run with other settings ({'; '.join(changed)}); "
                "expected the same ones, or an empty folder"
            )
        self.state.rows = [RoundRow(**row) for row in saved["rows"]]
        self.learner.read_state(self.folder)
