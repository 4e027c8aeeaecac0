"""A generator for each thing that a teacher draws, so that no knob disturbs another's draws."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def generator_for(seed: int, person: int, purpose: str) -> np.random.Generator:
    """Return the generator of one person for one purpose."""
    entropy = (seed, person, zlib.crc32(purpose.encode()))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator as JSON values."""
    return dict(generator.bit_generator.state)


def restore_generator(generator: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Put a generator into a state that `generator_state` returned."""
    generator.bit_generator.state = dict(state)


class RandomWalk:
    """Numbers that take one normal step in every round, from a start."""

    def __init__(self, start: np.ndarray, step_std: float, generator: np.random.Generator) -> None:
        """Stand at `start`, (K,), in round 0."""
        self._values = np.asarray(start, dtype=np.float64).copy()
        self._step_std, self._generator, self._round = step_std, generator, 0

    def at(self, round_index: int) -> np.ndarray:
        """Return the (K,) values of a round; a round before the last one asked for stays there."""
        steps = max(0, round_index - self._round) if self._step_std else 0
        for _ in range(steps):
            self._values += self._generator.normal(0.0, self._step_std, self._values.shape)
        self._round = max(self._round, round_index)
        return self._values.copy()

    def state_dict(self) -> dict[str, Any]:
        """Return where it stands; JSON values."""
        return {
            "values": self._values.tolist(),
            "round": self._round,
            "generator": generator_state(self._generator),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._values = np.asarray(state["values"], dtype=np.float64)
        self._round = int(state["round"])
        restore_generator(self._generator, state["generator"])
