"""The reward interface. Shape letter: N episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from textgym.feedback.teachers.judges import Finding
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


def needs_facts(reward: object) -> bool:
    """Return whether a reward reads facts or references of the prompt, as its attribute says.

    It cannot score a response to a prompt of somebody's own, which has neither.
    """
    return bool(getattr(reward, "needs_facts", False))


@runtime_checkable
class AskedReward(Protocol):
    """A reward that somebody is asked for when an episode ends, and who may answer late or never.

    Called, it returns what has been answered by then, and NaN for an episode that has not: such an
    episode has no score, and whoever learns from episodes leaves it out.

    Attributes:
        name: As a `RewardFn`'s.
        asked_terms: Names of the terms in which NaN means "not answered".
        answers_at_once: Whether every episode is answered in the step that ended it, always.
    """

    name: str
    asked_terms: frozenset[str]
    answers_at_once: bool

    def ask(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Ask about the episodes that a step ended, possibly none; each call counts a round.

        Returns:
            The episodes with their `query_id`.
        """
        ...

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32, NaN for those that are not answered."""
        ...


@runtime_checkable
class SavedReward(Protocol):
    """A reward that changes while it is used, as one that asks a teacher does: its state is saved.

    An agent's folder holds it, so that a run that goes on meets the teacher as it was.
    """

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed run needs; JSON values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        ...

    def keep_answers(self, location: str | Path) -> None:
        """Keep in a store that stays what would otherwise be kept only as long as the reward."""
        ...

    def note_policy(self, fingerprint: str, sampling: Mapping[str, Any]) -> None:
        """Take note of which policy acts from now on, and how it samples; JSON values."""
        ...


@runtime_checkable
class ExplainsGold(Protocol):
    """A gold utility that can say why: the ground truth of a teacher's words."""

    def findings(self, episode: Episode) -> Sequence[Finding]:
        """Return what is true of the response, the weightiest first."""
        ...


@dataclass(frozen=True)
class ScoredBatch:
    """Scores of N episodes and the named terms that sum to them.

    Attributes:
        scores: (N,) float32; NaN for an episode that an `AskedReward` has no answer for.
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
    found = {reward_fn.name: reward_fn(episodes)} if terms_of is None else terms_of(episodes)
    asked = reward_fn.asked_terms if isinstance(reward_fn, AskedReward) else frozenset()
    terms = {
        name: _checked(name, values, episodes, may_be_nan=name in asked)
        for name, values in found.items()
    }
    scores = np.sum(list(terms.values()), axis=0, dtype=np.float32)
    return ScoredBatch(scores=scores.reshape(len(episodes)), terms=terms)


def _checked(
    name: str, values: np.ndarray, episodes: Sequence[Episode], *, may_be_nan: bool
) -> np.ndarray:
    array = np.asarray(values, dtype=np.float32)
    if array.shape != (len(episodes),):
        raise ValueError(f"reward {name!r} must return shape ({len(episodes)},), got {array.shape}")
    is_good = np.isfinite(array) | (np.isnan(array) if may_be_nan else False)
    bad = np.flatnonzero(~is_good)
    if bad.size:
        episode = episodes[int(bad[0])]
        raise ValueError(
            f"reward {name!r} gave {float(array[bad[0]])} for prompt_id "
            f"{episode.prompt.prompt_id} (response {episode.response[:80]!r}); "
            "expected a finite number"
        )
    return array
