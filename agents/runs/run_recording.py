"""Callbacks of a training run: progress bar, samples, checkpoints, and a clean early end."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from tqdm.auto import tqdm

from textgym.agents.rollouts.sequence_rollouts import SequenceRollouts
from textgym.agents.runs.run_folder import RunFolder

SHOWN = {"score": "rollout/score", "gold": "rollout/gold_score", "KL": "rollout/kl"}


class RunRecorder(BaseCallback):
    """Writes samples and checkpoints into a run folder.

    Checkpoints are saved when a rollout begins, so that each one follows a finished update.
    """

    model: SequenceRollouts

    def __init__(
        self, run: RunFolder, *, sample_every: int, checkpoint_every: int, keep: int = 2
    ) -> None:
        """Record into `run`.

        Args:
            run: The folder.
            sample_every: Rollouts between two sets of samples, at least 1.
            checkpoint_every: Rollouts between two checkpoints; 0 for none.
            keep: Checkpoints that stay, at least 1.
        """
        super().__init__()
        self.run, self.keep = run, keep
        self.sample_every, self.checkpoint_every = sample_every, checkpoint_every
        self.n_rollouts = 0

    def _on_rollout_start(self) -> None:
        is_due = self.checkpoint_every and self.n_rollouts % self.checkpoint_every == 0
        if is_due and self.n_rollouts:
            self.model.save(self.run.checkpoints / str(self.num_timesteps))
            self.run.keep_newest_checkpoints(self.keep)

    def _on_rollout_end(self) -> None:
        if self.n_rollouts % self.sample_every == 0:
            self.run.add_samples([asdict(sample) for sample in self.model.samples])
        self.n_rollouts += 1

    def _on_step(self) -> bool:
        return True


class ProgressBar(BaseCallback):
    """A bar with the time left and the latest score, gold score and KL.

    Attributes:
        seconds: Budget in seconds where the run is bounded by time, else None.
    """

    def __init__(self, total: int, seconds: float | None = None, *, disable: bool = False) -> None:
        """Show progress towards `total` steps, or `seconds`."""
        super().__init__()
        self.total, self.seconds, self.disable = total, seconds, disable
        self.bar: Any = None
        self._started = 0.0

    def _on_training_start(self) -> None:
        self._started = time.monotonic()
        if self.seconds is None:
            self.bar = tqdm(
                total=self.total,
                initial=self.num_timesteps,
                unit="tok",
                unit_scale=True,
                desc="training",
                disable=self.disable,
            )
        else:
            form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}/{total:.0f} s {postfix}"
            self.bar = tqdm(
                total=self.seconds, bar_format=form, desc="training", disable=self.disable
            )

    def _on_step(self) -> bool:
        if self.seconds is None:
            self.bar.update(min(self.num_timesteps, self.total) - self.bar.n)
        else:
            done = min(time.monotonic() - self._started, self.seconds)
            self.bar.update(done - self.bar.n)
        return True

    def _on_rollout_end(self) -> None:
        logged = self.logger.name_to_value
        shown = {word: f"{logged[key]:.2f}" for word, key in SHOWN.items() if key in logged}
        self.bar.set_postfix(shown, refresh=False)

    def _on_training_end(self) -> None:
        self.bar.close()


class EarlyStop(BaseCallback):
    """Ends training after a number of seconds (between rollouts) or when asked to (at once).

    Attributes:
        reason: Why training ended early, None while it did not.
    """

    def __init__(self, seconds: float | None, is_interrupted: Callable[[], bool]) -> None:
        """Stop after `seconds` where given, or once `is_interrupted()`."""
        super().__init__()
        self.seconds, self.is_interrupted = seconds, is_interrupted
        self.reason: str | None = None
        self._started = 0.0

    def _on_training_start(self) -> None:
        self._started = time.monotonic()

    def _on_rollout_start(self) -> None:
        if self.seconds is not None and time.monotonic() - self._started >= self.seconds:
            self.reason = "time"

    def _on_step(self) -> bool:
        if self.is_interrupted():
            self.reason = "interrupt"
        return self.reason is None


@contextlib.contextmanager
def interrupts_noted() -> Iterator[Callable[[], bool]]:
    """Inside, a first Ctrl-C only sets what the yielded function returns; a second one raises."""
    noted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noted.is_set  # only the main thread may handle signals
        return

    def note(number: int, frame: Any) -> None:
        if noted.is_set():
            raise KeyboardInterrupt
        noted.set()

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield noted.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
