"""A user's own function as a reward. Shape letter: N episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from textgym.callables import load_callable
from textgym.types import Episode

RewardFunction = Callable[[Sequence[Episode]], Sequence[float]]


class FunctionReward:
    """Scores by a function `f(episodes) -> N numbers`.

    It is called once with all episodes of a batch or, with several workers, once per episode on
    that many threads: then the time of N calls that wait for something else (a judge behind a
    network) is that of N / workers. Python code that computes gains nothing from threads.
    """

    def __init__(self, function: RewardFunction, name: str, workers: int = 1) -> None:
        """Keep the function; `name` becomes its key in `reward_terms`."""
        self.name = name
        self._function = function
        self._workers = workers

    @classmethod
    def from_name(cls, name: str, workers: int = 1) -> FunctionReward:
        """Load "module:function".

        Raises:
            ValueError: There is no such function.
        """
        return cls(load_callable(name), name.rpartition(":")[2], workers)

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32, in the order of the episodes.

        Raises:
            ValueError: The function returned something else than numbers.
            RuntimeError: With several workers, whatever the function raised; the message names the
                episode, calls that have not begun are dropped.
        """
        if self._workers == 1:
            return self._scores(episodes)
        if not episodes:
            return np.zeros(0, dtype=np.float32)
        # Threads of one call only: nothing is left running that a fork or an exit could meet.
        with ThreadPoolExecutor(min(self._workers, len(episodes))) as pool:
            return np.concatenate(list(pool.map(self._score_of, episodes)))

    def _score_of(self, episode: Episode) -> np.ndarray:
        """Return the score of one episode, (1,) float32."""
        try:
            scores = self._scores([episode])
        except Exception as error:
            raise RuntimeError(
                f"reward function {self.name!r} failed for prompt_id {episode.prompt.prompt_id} "
                f"(response {episode.response[:80]!r}): {type(error).__name__}: {error}"
            ) from error
        if scores.shape != (1,):
            raise ValueError(
                f"reward function {self.name!r} must return 1 number for 1 episode (with "
                f"reward_workers above 1 it is given one at a time), got shape {scores.shape}"
            )
        return scores

    def _scores(self, episodes: Sequence[Episode]) -> np.ndarray:
        values = self._function(episodes)
        try:
            return np.asarray(values, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"reward function {self.name!r} must return {len(episodes)} numbers, got {values!r}"
            ) from error
