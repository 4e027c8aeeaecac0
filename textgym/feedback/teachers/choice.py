"""From utilities to an order: rationality, ties and mistakes. Shape letter: K responses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from textgym.feedback.teachers.config import PERFECTLY_RATIONAL, TeacherConfig
from textgym.feedback.teachers.randomness import (
    generator_for,
    generator_state,
    restore_generator,
)


class Choice:
    """Chooses in B-Pref's order: what is equal is settled first, then noise, then mistakes."""

    def __init__(self, config: TeacherConfig, person: int) -> None:
        """Take `beta`, `eps_equal` and `eps_mistake`."""
        self._config = config
        self._noise = generator_for(config.seed, person, "beta")
        self._mistakes = generator_for(config.seed, person, "choice_mistake")

    def better(self, utilities: np.ndarray) -> int | None:
        """Return which of two is better, 0 or 1, or None for a tie."""
        difference = float(utilities[1] - utilities[0])
        is_equal = abs(difference) < self._config.eps_equal
        if self._config.beta == PERFECTLY_RATIONAL:
            is_equal = is_equal or difference == 0
            better = int(difference > 0)
        else:
            better = int(self._noise.random() < _sigmoid(self._config.beta * difference))
        if self._makes_mistake():
            better = 1 - better
        return None if is_equal else better

    def ranks(self, utilities: np.ndarray) -> tuple[int, ...]:
        """Return the rank of each of K, 1 the best, by Plackett and Luce's model.

        Gumbel noise on the utilities gives exactly that model, whose choice between two is
        `better`'s. Responses within `eps_equal` of the first of their group share its rank.
        """
        keys = utilities
        if self._config.beta != PERFECTLY_RATIONAL:
            gumbel = self._noise.gumbel(size=len(utilities))
            keys = self._config.beta * utilities + gumbel
        order = np.argsort(-keys, kind="stable")
        if self._makes_mistake():
            order = order[::-1]
        ranks = [0] * len(order)
        head = int(order[0])
        for place, index in enumerate(order.tolist()):
            if not self._ties(utilities[head], utilities[index]):
                head = index
            ranks[index] = place + 1 if head == index else ranks[head]
        return tuple(ranks)

    def state_dict(self) -> dict[str, Any]:
        """Return both generators; JSON values."""
        return {
            "noise": generator_state(self._noise),
            "mistakes": generator_state(self._mistakes),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        restore_generator(self._noise, state["noise"])
        restore_generator(self._mistakes, state["mistakes"])

    def _ties(self, first: float, second: float) -> bool:
        if self._config.beta == PERFECTLY_RATIONAL and first == second:
            return True
        return abs(first - second) < self._config.eps_equal

    def _makes_mistake(self) -> bool:
        rate = self._config.eps_mistake
        return rate > 0 and bool(self._mistakes.random() < rate)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
