"""A user's own function as a reward. Shape letter: N episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from textgym.callables import load_callable
from textgym.types import Episode


class FunctionReward:
    """Scores by a function `f(episodes) -> N numbers`, all episodes of a batch at once."""

    def __init__(self, function: Callable[[Sequence[Episode]], Sequence[float]], name: str) -> None:
        """Keep the function; `name` becomes its key in `reward_terms`."""
        self.name = name
        self._function = function

    @classmethod
    def from_name(cls, name: str) -> FunctionReward:
        """Load "module:function".

        Raises:
            ValueError: There is no such function.
        """
        return cls(load_callable(name), name.rpartition(":")[2])

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32.

        Raises:
            ValueError: The function returned something else than numbers.
        """
        values = self._function(episodes)
        try:
            return np.asarray(values, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"reward function {self.name!r} must return {len(episodes)} numbers, got {values!r}"
            ) from error
