"""Questions that a teacher sees and does not answer. Shape letter: K responses of a query."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from textgym.feedback.teachers.config import TeacherConfig
from textgym.feedback.teachers.randomness import (
    generator_for,
    generator_state,
    restore_generator,
)

TOO_BAD = "nothing here is worth an answer"
NO_REASON = "no reason given"


class Skipping:
    """Skips what is too bad to judge (B-Pref's `eps_skip`), and now and then for no reason."""

    def __init__(self, config: TeacherConfig, person: int) -> None:
        """Take `eps_skip` and `skip_rate`."""
        self._config = config
        self._generator = generator_for(config.seed, person, "skip")

    def reason(self, utilities: np.ndarray) -> str:
        """Return why the query is skipped, an empty string where it is not.

        The share `eps_skip` is that of a normal distribution of gold.

        Args:
            utilities: (K,) of what is seen; K may be 0.
        """
        eps = self._config.eps_skip
        if eps > 0 and utilities.size and NormalDist().cdf(float(utilities.max())) < eps:
            return TOO_BAD
        rate = self._config.skip_rate
        return NO_REASON if rate > 0 and self._generator.random() < rate else ""

    def state_dict(self) -> dict[str, Any]:
        """Return the generator's state; JSON values."""
        return generator_state(self._generator)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        restore_generator(self._generator, state)
