"""From a utility to a score in [0, 1]: leniency, noise, mistakes, and anchoring on earlier ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from textgym.feedback.teachers.config import TeacherConfig
from textgym.feedback.teachers.randomness import (
    RandomWalk,
    generator_for,
    generator_state,
    restore_generator,
)

_NORMAL = NormalDist()


def score_of(utility: float) -> float:
    """Return the score of a utility: the logistic function, 0.5 at the mean gold.

    The same link as that of the reward model's score loss, so that a score is worth exactly what
    a reward model can learn from it.
    """
    return float(0.5 * (1.0 + np.tanh(0.5 * utility)))


class ScoreScale:
    """One person's scale, remembered between scores."""

    def __init__(self, config: TeacherConfig, person: int) -> None:
        """Take `score_noise`, `eps_mistake`, `anchoring` and `drift`."""
        self._config = config
        self._noise = generator_for(config.seed, person, "score_noise")
        self._mistakes = generator_for(config.seed, person, "score_mistake")
        self._leniency = RandomWalk(
            np.zeros(1), config.drift, generator_for(config.seed, person, "drift")
        )
        self._given: deque[float] = deque(maxlen=config.anchor_window)

    def score(self, utility: float, round_index: int) -> float:
        """Return the score that is given in a round, and remember it."""
        value = score_of(utility + float(self._leniency.at(round_index)[0]))
        rate = self._config.eps_mistake
        if rate > 0 and self._mistakes.random() < rate:
            value = 1.0 - value
        if self._config.score_noise > 0:
            value = self._noisy(value)
        if self._config.anchoring > 0 and self._given:
            value += self._config.anchoring * (float(np.mean(self._given)) - value)
        value = min(1.0, max(0.0, value))
        self._given.append(value)
        return value

    def state_dict(self) -> dict[str, Any]:
        """Return generators, leniency and the last scores; JSON values."""
        return {
            "noise": generator_state(self._noise),
            "mistakes": generator_state(self._mistakes),
            "leniency": self._leniency.state_dict(),
            "given": list(self._given),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        restore_generator(self._noise, state["noise"])
        restore_generator(self._mistakes, state["mistakes"])
        self._leniency.load_state_dict(state["leniency"])
        self._given = deque(state["given"], maxlen=self._config.anchor_window)

    def _noisy(self, value: float) -> float:
        """Draw from the normal distribution around `value`, truncated to [0, 1]."""
        std = self._config.score_noise
        low, high = _NORMAL.cdf(-value / std), _NORMAL.cdf((1 - value) / std)
        share = low + (high - low) * self._noise.random()
        # The inverse is not defined at 0 and 1 themselves.
        share = min(max(share, 1e-16), 1 - 1e-16)
        return value + std * _NORMAL.inv_cdf(share)
