"""Judges: which of two responses to the same prompt is better. Shape letter: N prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from textgym.rewards.base import RewardFn, score_episodes
from textgym.types import Episode


class Judge(Protocol):
    """Compares responses to the same prompts.

    Attributes:
        name: What it is, for the table: "gold", "reward-model:PATH" or "metric:NAME".
    """

    name: str

    def preferences(self, ours: Sequence[Episode], theirs: Sequence[Episode]) -> np.ndarray:
        """Return (N,) float64: 1 where ours is better, 0 where theirs is, 0.5 for a tie."""
        ...


class GoldJudge:
    """Judges by the hidden true utility that the environment noted in each episode."""

    name = "gold"

    def preferences(self, ours: Sequence[Episode], theirs: Sequence[Episode]) -> np.ndarray:
        """See `Judge.preferences`.

        Raises:
            ValueError: An episode has no gold score.
        """
        _check_pairs(ours, theirs)
        return _wins(_gold_scores(ours), _gold_scores(theirs))


class RewardJudge:
    """Judges by any reward function: a reward model, or a metric against the references."""

    def __init__(self, name: str, reward: RewardFn) -> None:
        """Judge by `reward`, shown as `name`."""
        self.name = name
        self.reward = reward

    def preferences(self, ours: Sequence[Episode], theirs: Sequence[Episode]) -> np.ndarray:
        """See `Judge.preferences`."""
        _check_pairs(ours, theirs)
        return _wins(
            score_episodes(self.reward, ours).scores, score_episodes(self.reward, theirs).scores
        )


def _check_pairs(ours: Sequence[Episode], theirs: Sequence[Episode]) -> None:
    prompts = [episode.prompt.prompt_id for episode in ours]
    others = [episode.prompt.prompt_id for episode in theirs]
    if prompts != others:
        raise ValueError(
            f"expected responses to the same prompts, got prompt ids {prompts[:5]} and {others[:5]}"
        )


def _gold_scores(episodes: Sequence[Episode]) -> np.ndarray:
    missing = [e.prompt.prompt_id for e in episodes if e.gold_score is None]
    if missing:
        raise ValueError(f"the gold judge needs a gold score, got none for prompt_id {missing[0]}")
    return np.array([episode.gold_score for episode in episodes], dtype=np.float64)


def _wins(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.where(ours == theirs, 0.5, (ours > theirs).astype(np.float64))
