"""Procedural prompts: item i of a split is a pure function of (data_seed, split, i)."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from textgym.config import SPLITS
from textgym.envs_registry.draws import Draws, FastDraws
from textgym.types import Prompt

_BUCKETS = {"train": range(2, 10), "validation": range(0, 1), "test": range(1, 2)}


def owner_of(identity: str) -> str:
    """The split that owns an item: .8 train, .1 validation, .1 test, by a stable hash.

    Two items with the same identity are in the same split, whatever the seed.
    """
    bucket = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") % 10
    return next(split for split, buckets in _BUCKETS.items() if bucket in buckets)


class ProceduralPrompts(ABC):
    """A `PromptSource` of items that are drawn, not stored; splits share none.

    A subclass says how facts are drawn (`draw`), what tells two items apart (`identity`), and how
    an item is written from its facts (`write`). Each item is redrawn until its identity belongs to
    the split.

    Args:
        data_seed: Fixes every item, at least 0.
        split: One of `SPLITS`.
        size: Number of items, at least 1; by default `default_sizes[split]`.

    Raises:
        ValueError: An argument is none of these.
    """

    default_sizes: ClassVar[Mapping[str, int]] = {
        "train": 1_000_000,
        "validation": 10_000,
        "test": 10_000,
    }

    def __init__(self, data_seed: int, split: str, size: int | None = None) -> None:
        """Check the arguments; no item is written before it is asked for."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
        self._data_seed = _whole("data_seed", data_seed, minimum=0)
        self._split = split
        self._size = self.default_sizes[split] if size is None else _whole("size", size, minimum=1)

    @abstractmethod
    def draw(self, rng: Draws) -> dict[str, Any]:
        """The facts of one item: plain values, ready for JSON."""

    @abstractmethod
    def identity(self, facts: Mapping[str, Any]) -> str:
        """What decides the split: all facts that make two items different to the task."""

    @abstractmethod
    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """The item with these facts, human references included."""

    def __len__(self) -> int:
        """Number of items."""
        return self._size

    def __getitem__(self, prompt_id: int) -> Prompt:
        """The item with this index, 0 <= prompt_id < len(self).

        Raises:
            IndexError: There is no such item.
        """
        if not isinstance(prompt_id, Integral) or not 0 <= prompt_id < self._size:
            raise IndexError(
                f"prompt_id must be a whole number from 0 to {self._size - 1}, got {prompt_id!r}"
            )
        entropy = np.random.SeedSequence((self._data_seed, SPLITS.index(self._split), prompt_id))
        rng = FastDraws(entropy)
        facts = self.draw(rng)
        while owner_of(self.identity(facts)) != self._split:
            facts = self.draw(rng)
        return self.write(int(prompt_id), facts, rng)


def _whole(name: str, value: int, *, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return int(value)
