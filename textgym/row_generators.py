"""One random generator per row: row i is the single environment seeded with `seed + i`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding


class RowGenerators:
    """N generators.

    Attributes:
        generators: One per row.
        seeds: The seed of each.
    """

    def __init__(self, num_rows: int) -> None:
        """Seed every row from the operating system."""
        pairs = [seeding.np_random(None) for _ in range(num_rows)]
        self.generators: list[np.random.Generator] = [pair[0] for pair in pairs]
        self.seeds: list[int] = [pair[1] for pair in pairs]

    def seed(self, seed: int | Sequence[int | None] | None, rows: Sequence[int]) -> None:
        """Seed the chosen rows.

        Args:
            seed: An int for row i to get `seed + i`, N of them (None leaves a row's generator as
                it is), or None to leave all.
            rows: The rows to seed.

        Raises:
            ValueError: A wrong number of seeds.
        """
        num_rows = len(self.generators)
        if seed is None:
            return
        if isinstance(seed, (int, np.integer)):
            seed = [int(seed) + row for row in range(num_rows)]
        if len(seed) != num_rows:
            raise ValueError(f"seed must be one integer or {num_rows} of them, got {len(seed)}")
        for row in rows:
            if seed[row] is not None:
                self.generators[row], self.seeds[row] = seeding.np_random(seed[row])

    def state(self, row: int) -> dict[str, Any]:
        """Return a copy of a row's bit generator state."""
        return copy.deepcopy(dict(self.generators[row].bit_generator.state))

    def set_state(self, row: int, state: dict[str, Any]) -> None:
        """Put a bit generator state into a row."""
        self.generators[row].bit_generator.state = state
