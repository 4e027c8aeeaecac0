"""Neighbouring rows that play the same prompt and begin together. Shape letter: N rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from textgym.types import Prompt


class RowGroups:
    """Groups of `size` neighbouring rows; with size 1 nothing ever waits."""

    def __init__(self, size: int, num_rows: int) -> None:
        """Cut N rows into groups.

        Raises:
            ValueError: N is not a multiple of `size`.
        """
        if num_rows % size:
            raise ValueError(f"num_envs must be a multiple of group_size={size}, got {num_rows}")
        self.size = size

    def over(self, ended: np.ndarray) -> np.ndarray:
        """Return (N,) bool, True for rows whose whole group has ended."""
        if self.size == 1:
            return ended.copy()
        return np.repeat(ended.reshape(-1, self.size).all(axis=1), self.size)

    def check_whole(self, mask: np.ndarray) -> None:
        """Raise ValueError where a reset mask takes only a part of a group."""
        if self.size > 1 and np.any(mask != self.over(mask)):
            raise ValueError(
                f"reset_mask must take whole groups of {self.size} rows, got {mask.tolist()}"
            )

    def prompts(
        self,
        rows: Sequence[int],
        chosen: Sequence[Prompt | None],
        draw: Callable[[int], Prompt],
    ) -> list[Prompt]:
        """Return the prompt of each row that begins.

        Args:
            rows: Ascending, whole groups.
            chosen: N prompts asked for, None to draw.
            draw: Draws a prompt with the generator of the given row, the first of its group.

        Raises:
            ValueError: Two rows of a group ask for different prompts.
        """
        prompts: list[Prompt] = []
        for row in rows:
            first = row - row % self.size
            if chosen[row] != chosen[first]:
                raise ValueError(
                    f"rows {first} and {row} are of one group and must ask for the same prompt, "
                    f"got {chosen[first]!r} and {chosen[row]!r}"
                )
            if row != first:
                prompts.append(prompts[-1])
            else:
                own = chosen[row]
                prompts.append(draw(row) if own is None else own)
        return prompts
