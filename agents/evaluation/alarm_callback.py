"""Alarms while training: each rollout's episodes are measured, logged and, if they ring, named."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from textgym.agents.evaluation.alarms import AlarmReading, Alarms
from textgym.agents.rollouts.task_facts import settling_env
from textgym.types import Episode


class AlarmCallback(BaseCallback):
    """Reads the alarms after each rollout and logs them as `alarms/NAME` and `alarms/NAME_share`.

    Attributes:
        first_rings: Alarm to `num_timesteps` of the first rollout in which it rang.
        readings: The last rollout's.
        episodes: The last rollout's finished episodes, with scores and gold scores.
    """

    def __init__(
        self, alarms: Alarms, *, max_episodes: int | None = None, warns: bool = True
    ) -> None:
        """Watch.

        Args:
            alarms: Calibrated.
            max_episodes: Episodes of each rollout that are measured, evenly spread over it, at
                least 1; None for all. The disagreement of an ensemble costs a forward of each
                member.
            warns: Whether the first ring of each alarm is a `RuntimeWarning`.

        Raises:
            ValueError: `max_episodes` below 1.
        """
        if max_episodes is not None and max_episodes < 1:
            raise ValueError(f"max_episodes must be at least 1, got {max_episodes!r}")
        super().__init__()
        self.alarms, self.max_episodes, self.warns = alarms, max_episodes, warns
        self.first_rings: dict[str, int] = {}
        self.readings: dict[str, AlarmReading] = {}
        self.episodes: list[Episode] = []

    def _on_training_start(self) -> None:
        if settling_env(self.training_env) is None:
            raise ValueError(
                "alarms read whole episodes, which only a vector environment that defers rewards "
                f"keeps: make the environment by its id, got {self.training_env!r}"
            )

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.episodes = self._finished()
        if not self.episodes:
            return
        self.readings = self.alarms.read(self._chosen(self.episodes))
        for name, reading in self.readings.items():
            self.logger.record(f"alarms/{name}", reading.mean)
            self.logger.record(f"alarms/{name}_share", reading.share)
            if reading.is_ringing and name not in self.first_rings:
                self._ring(name, reading)

    def _ring(self, name: str, reading: AlarmReading) -> None:
        self.first_rings[name] = self.num_timesteps
        if self.warns:
            warnings.warn(
                f"alarm {name!r} after {self.num_timesteps} tokens: {reading.share:.0%} of the "
                f"responses lie outside [{reading.low:.3g}, {reading.high:.3g}], where the "
                f"reference has {1 - self.alarms.config.tail:.0%} of its own",
                RuntimeWarning,
                stacklevel=2,
            )

    def _finished(self) -> list[Episode]:
        settling = settling_env(self.training_env)
        settled = [] if settling is None else settling.settled_episodes
        return [one.episode for one in settled]

    def _chosen(self, episodes: Sequence[Episode]) -> list[Episode]:
        if self.max_episodes is None or len(episodes) <= self.max_episodes:
            return list(episodes)
        rows = np.linspace(0, len(episodes) - 1, self.max_episodes).round().astype(int)
        return [episodes[row] for row in rows]
