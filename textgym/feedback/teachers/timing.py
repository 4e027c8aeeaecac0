"""When answers come: late, out of order, or never again. Counted in the rounds of asking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.feedback.queries import Query
from textgym.feedback.record_json import record_from_json, record_to_json
from textgym.feedback.records import FeedbackRecord
from textgym.feedback.teachers.config import TeacherConfig
from textgym.feedback.teachers.randomness import (
    generator_for,
    generator_state,
    restore_generator,
)


class Timing:
    """Keeps answers until they are due, and none from when the person has left.

    Attributes:
        leaves_at: Round from which on nothing comes; None where the person stays.
    """

    def __init__(self, config: TeacherConfig, person: int) -> None:
        """Take the delays, and draw when the person leaves."""
        self._config = config
        self._generator = generator_for(config.seed, person, "delay")
        self.leaves_at = config.dropout_round
        if config.dropout_rate > 0:
            drawn = int(
                generator_for(config.seed, person, "dropout").geometric(config.dropout_rate)
            )
            self.leaves_at = drawn if self.leaves_at is None else min(drawn, self.leaves_at)
        self._pending: list[tuple[int, FeedbackRecord]] = []

    def has_left(self, round_index: int) -> bool:
        """Whether a question of this round is met by nobody."""
        return self.leaves_at is not None and round_index >= self.leaves_at

    def keep(self, query: Query, record: FeedbackRecord) -> None:
        """Take an answer in, due some rounds after its question was asked."""
        due = query.round_index + self._config.delay
        if self._config.delay_spread:
            due += int(self._generator.integers(self._config.delay_spread + 1))
        if not self.has_left(due):
            self._pending.append((due, record))

    def due(self, round_index: int) -> list[FeedbackRecord]:
        """Return what is due by now, the earliest first."""
        ready = [item for item in self._pending if item[0] <= round_index]
        self._pending = [item for item in self._pending if item[0] > round_index]
        return [record for _, record in sorted(ready, key=lambda item: item[0])]

    def state_dict(self) -> dict[str, Any]:
        """Return the generator and what is owed; JSON values."""
        return {
            "generator": generator_state(self._generator),
            "pending": [[due, record_to_json(record)] for due, record in self._pending],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        restore_generator(self._generator, state["generator"])
        self._pending = [(int(due), record_from_json(data)) for due, data in state["pending"]]
