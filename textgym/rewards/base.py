"""The reward interface. Shape letter: N episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from textgym.types import Episode


@runtime_checkable
class RewardFn(Protocol):
    """Scores finished episodes, all of a batch at once.

    Attributes:
        name: Short word; the key of this reward in `reward_terms`.
    """

    name: str

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32, finite; must not depend on the batch's composition."""
        ...


@dataclass(frozen=True)
class ScoredBatch:
    """Scores of N episodes and the named terms that sum to them.

    Attributes:
        scores: (N,) float32.
        terms: Name to (N,) float32; the terms sum to `scores`.
    """

    scores: np.ndarray
    terms: dict[str, np.ndarray]


def score_episodes(reward_fn: RewardFn, episodes: Sequence[Episode]) -> ScoredBatch:
    """Score a batch and check what came back.

    Raises:
        ValueError: The scores have a wrong shape, or one is NaN or infinite (the message names
            the reward, the prompt and the value).
    """
    terms_of = getattr(reward_fn, "terms", None)
    if terms_of is not None:
        terms = {
            name: _checked(name, values, episodes) for name, values in terms_of(episodes).items()
        }
    else:
        terms = {reward_fn.name: _checked(reward_fn.name, reward_fn(episodes), episodes)}
    scores = np.sum(list(terms.values()), axis=0, dtype=np.float32)
    return ScoredBatch(scores=scores.reshape(len(episodes)), terms=terms)


def _checked(name: str, values: np.ndarray, episodes: Sequence[Episode]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float32)
    if array.shape != (len(episodes),):
        raise ValueError(f"reward {name!r} must return shape ({len(episodes)},), got {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        episode = episodes[int(bad[0])]
        raise ValueError(
            f"reward {name!r} gave {float(array[bad[0]])} for prompt_id "
            f"{episode.prompt.prompt_id} (response {episode.response[:80]!r}); "
            "expected a finite number"
        )
    return array
