"""Weighted sums of rewards, each part visible as a term. Shape letter: N episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textgym.rewards.base import AskedReward, RewardFn, SavedReward, needs_facts
from textgym.types import Episode


class WeightedSum:
    """The sum of `weight * reward` over its parts.

    It is an `AskedReward`, for the parts that are: without an answer of theirs there is no sum.

    Attributes:
        parts: Pairs (weight, reward).
        asked_terms: Those of the parts.
        answers_at_once: Whether all parts do.
        needs_facts: Whether a part does, see `needs_facts`.
    """

    name = "sum"

    def __init__(self, parts: Sequence[tuple[float, RewardFn]]) -> None:
        """Keep the parts.

        Raises:
            ValueError: Two parts of the same name: their terms could not be told apart.
        """
        names = [reward.name for _, reward in parts]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"a sum must name each reward once, got {repeated[0]!r} twice")
        self.parts = tuple(parts)
        self.needs_facts = any(needs_facts(reward) for _, reward in parts)
        self._asked = [reward for _, reward in parts if isinstance(reward, AskedReward)]
        self.asked_terms = frozenset(name for part in self._asked for name in part.asked_terms)
        self.answers_at_once = all(part.answers_at_once for part in self._asked)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each part that has one, by name; see `SavedReward`."""
        return {name: part.state_dict() for name, part in self._saved().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Raises:
            ValueError: The state of a sum of other parts.
        """
        saved = self._saved()
        if set(state) != set(saved):
            raise ValueError(
                f"expected the state of a sum with {sorted(saved)}, got {sorted(state)}"
            )
        for name, part in saved.items():
            part.load_state_dict(state[name])

    def keep_answers(self, location: str | Path) -> None:
        """Hand the location to each part that keeps answers; see `SavedReward`."""
        for part in self._saved().values():
            part.keep_answers(location)

    def note_policy(self, fingerprint: str, sampling: Mapping[str, Any]) -> None:
        """Tell each part that takes note of who acts; see `SavedReward`."""
        for part in self._saved().values():
            part.note_policy(fingerprint, sampling)

    def _saved(self) -> dict[str, SavedReward]:
        return {part.name: part for _, part in self.parts if isinstance(part, SavedReward)}

    def ask(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Let the parts ask that do; see `AskedReward`."""
        asked = list(episodes)
        for part in self._asked:
            asked = part.ask(asked)
        return asked

    def terms(self, episodes: Sequence[Episode]) -> dict[str, np.ndarray]:
        """Return each part's share by name, (N,) float32; they sum to the scores."""
        return {
            reward.name: np.float32(weight) * np.asarray(reward(episodes), dtype=np.float32)
            for weight, reward in self.parts
        }

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        return np.stack(list(self.terms(episodes).values())).sum(axis=0, dtype=np.float32)
