"""Callbacks for `learn`; SB3's own work as well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from textgym.agents.rollouts.sequence_rollouts import SequenceRollouts
from textgym.agents.rollouts.statistics import Sample


class SampleCallback(BaseCallback):
    """Writes the agent's last sample responses every few rollouts.

    They go into a JSON-lines file and, as text under `rollout/samples`, into TensorBoard where the
    logger has one; consoles and tables would only truncate them.

    Args:
        path: The file, appended to; None for no file.
        every: Rollouts between two sets, at least 1.
        verbose: As in SB3.

    Raises:
        ValueError: `every` is below 1.
    """

    model: SequenceRollouts

    def __init__(self, path: str | Path | None = None, every: int = 5, verbose: int = 0) -> None:
        """Keep the settings; see the class."""
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every!r}")
        super().__init__(verbose)
        self.path = None if path is None else Path(path)
        self.every = every
        self.n_rollouts = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.n_rollouts += 1
        samples = self.model.samples
        if self.n_rollouts % self.every or not samples:
            return
        self.logger.record(
            "rollout/samples", as_markdown(samples), exclude=("stdout", "log", "csv", "json")
        )
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(asdict(sample), ensure_ascii=False) for sample in samples)
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)


def as_markdown(samples: Sequence[Sample]) -> str:
    """Lay samples out for TensorBoard's text view."""
    return "\n\n---\n\n".join(
        f"**prompt** {sample.prompt}\n\n**response** {sample.response}\n\n"
        f"score {sample.score}, gold {sample.gold_score}, ended by {sample.finish_reason}"
        for sample in samples
    )
