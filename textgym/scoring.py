"""Scores of finished episodes: reward function, gold utility, missing end, named terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from textgym.rewards.base import AskedReward, RewardFn, score_episodes
from textgym.types import Episode

KL_TERM = "kl"
MISSING_EOS_TERM = "missing_eos"


class EpisodeScorer:
    """Scores batches of finished episodes."""

    def __init__(
        self, reward: RewardFn, gold: RewardFn | None, missing_eos_score: float | None
    ) -> None:
        """Keep the functions; `missing_eos_score` None scores unended responses like all others."""
        self._reward, self._gold = reward, gold
        self._missing_eos_score = missing_eos_score
        self._asked = reward if isinstance(reward, AskedReward) else None

    @property
    def answers_at_once(self) -> bool:
        """Whether every episode has its score in the step that ends it."""
        return self._asked is None or self._asked.answers_at_once

    def ask(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Ask for the scores of the episodes that a step ended, where somebody is to be asked.

        Call it in every step, with no episodes where none ended: answers are awaited in rounds.
        """
        if self._asked is None:
            return list(episodes)
        wanted = [episode for episode in episodes if not self._lacks_end(episode)]
        asked = iter(self._asked.ask(wanted))
        return [episode if self._lacks_end(episode) else next(asked) for episode in episodes]

    def score(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Return copies with `score`, `gold_score` and the score's `reward_terms` filled.

        One batched call of each function; a prompt without facts (the user's own) has no gold. An
        episode that nobody has answered for keeps a `score` of None and has no terms.

        Raises:
            ValueError: A score that is NaN or infinite.
        """
        terms: list[dict[str, float]] = [{} for _ in episodes]
        is_scored = [not self._lacks_end(episode) for episode in episodes]
        batch = [episode for episode, scored in zip(episodes, is_scored, strict=True) if scored]
        if batch:
            named = score_episodes(self._reward, batch).terms
            for index, slot in enumerate(np.flatnonzero(is_scored)):
                terms[slot] = {name: float(values[index]) for name, values in named.items()}
        for episode, of_episode in zip(episodes, terms, strict=True):
            if self._missing_eos_score is not None and self._lacks_end(episode):
                of_episode[MISSING_EOS_TERM] = float(self._missing_eos_score)
        gold = self._gold_scores(episodes)
        return [
            replace(_scored(episode, of_episode), gold_score=gold_score)
            for episode, of_episode, gold_score in zip(episodes, terms, gold, strict=True)
        ]

    def _lacks_end(self, episode: Episode) -> bool:
        return self._missing_eos_score is not None and episode.finish_reason == "length"

    def _gold_scores(self, episodes: Sequence[Episode]) -> list[float | None]:
        scores: list[float | None] = [None] * len(episodes)
        slots = [i for i, episode in enumerate(episodes) if episode.prompt.prompt_id >= 0]
        if self._gold is None or not slots:
            return scores
        values = score_episodes(self._gold, [episodes[i] for i in slots]).scores
        for slot, value in zip(slots, values, strict=True):
            scores[slot] = float(value)
        return scores


def _scored(episode: Episode, terms: dict[str, float]) -> Episode:
    total = float(sum(terms.values()))
    if math.isnan(total):
        return replace(episode, score=None, reward_terms={})
    return replace(episode, score=total, reward_terms=terms)


def with_kl_term(episode: Episode, kl: float | None) -> tuple[Episode, float]:
    """Return the episode with its final step's KL term, and the final step's reward.

    Args:
        episode: An episode that `EpisodeScorer` scored; without an answer the reward is NaN.
        kl: `kl_coef * log pi_ref` of the final step, None where the task has no reference.
    """
    if episode.score is None:
        return episode, math.nan
    terms = dict(episode.reward_terms)
    if kl is not None:
        terms[KL_TERM] = kl
    return replace(episode, reward_terms=terms), float(sum(terms.values()))
