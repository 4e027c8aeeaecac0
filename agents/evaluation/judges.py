"""Judges: which of two responses to the same prompt is better. Shape letter: N prompts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from textgym.config import TextEnvConfig
from textgym.rewards.base import RewardFn, score_episodes
from textgym.rewards.learned_ensemble import learned_reward
from textgym.rewards.programmatic import PROGRAMMATIC
from textgym.task import TextTask
from textgym.types import Episode, TokenIds

_OVER_OPTIMISED = (
    "wins are judged by the reward that the agent was trained against: it is bound to look better "
    "than it is; choose another judge where you can"
)


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
        """See `Judge.preferences`.

        Raises:
            ValueError: The reward is a teacher who leaves an episode unanswered.
        """
        _check_pairs(ours, theirs)
        scores = [score_episodes(self.reward, episodes).scores for episodes in (ours, theirs)]
        if np.isnan(scores).any():
            raise ValueError(
                f"{self.name} left {int(np.isnan(scores).sum())} of {2 * len(ours)} episodes "
                f"unanswered, so it cannot judge; expected another judge, such as 'gold'"
            )
        # The same response ties, however the rounding of its two batches fell.
        is_same = [_words(o) == _words(t) for o, t in zip(ours, theirs, strict=True)]
        return np.where(is_same, 0.5, _wins(*scores))


def _words(episode: Episode) -> tuple[TokenIds, str]:
    return episode.response_ids, episode.response


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


def judge_named(name: str | None, task: TextTask) -> Judge | None:
    """Return the judge of a win rate.

    Args:
        name: "gold", "reward-model:PATH", "metric:NAME", or None for gold where the task has one.
        task: The task whose responses are compared; gives tokenizer, gold and device.

    Returns:
        The judge; None for no name and a task without gold.

    Raises:
        ValueError: An unknown kind or metric, a model that is no reward model, or gold where there
            is none.
    """
    if name is None:
        return None if task.gold is None else GoldJudge()
    kind, _, value = name.partition(":")
    if name == "gold":
        if task.gold is None:
            raise ValueError("judge 'gold' needs a task with a gold utility; this one has none")
        return GoldJudge()
    if kind == "reward-model" and value:
        _warn_if_trained_against(value, task.config)
        return RewardJudge(name, learned_reward(value, task.tokenizer, task.config.device))
    if kind == "metric" and value in PROGRAMMATIC:
        return RewardJudge(name, PROGRAMMATIC[value]())
    raise ValueError(
        f"judge must be 'gold', 'reward-model:PATH' or 'metric:NAME' with NAME among "
        f"{sorted(PROGRAMMATIC)}, got {name!r}"
    )


def reward_judge(task: TextTask) -> Judge:
    """Return a judge by the reward that the task pays; warns, since agents over-optimise it."""
    warnings.warn(_OVER_OPTIMISED, UserWarning, stacklevel=2)
    return RewardJudge(f"reward {task.config.reward!r}", task.reward)


def _warn_if_trained_against(path: str, config: TextEnvConfig) -> None:
    trained = config.reward_model
    if trained is None or "model" not in config.reward:
        return
    both_there = Path(path).exists() and Path(trained).exists()
    is_same = Path(path).resolve() == Path(trained).resolve() if both_there else path == trained
    if is_same:
        warnings.warn(_OVER_OPTIMISED, UserWarning, stacklevel=3)
