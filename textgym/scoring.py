"""Scores of finished episodes: reward function, gold utility, missing end, named terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from textgym.reference import ResponseSequence
from textgym.rewards.base import AskedReward, RewardFn, score_episodes
from textgym.rewards.token_level import TokenPart, split_off_tokens
from textgym.types import Episode

KL_TERM = "kl"
MISSING_EOS_TERM = "missing_eos"


class EpisodeScorer:
    """Scores batches of finished episodes.

    Attributes:
        tokens: The part of the reward that is paid token by token, None where all of it is paid
            at the end. Episodes then come with their `token_rewards`.
    """

    def __init__(
        self,
        reward: RewardFn,
        gold: RewardFn | None,
        missing_eos_score: float | None,
        reward_level: str = "response",
    ) -> None:
        """Keep the functions.

        Args:
            reward: Scores episodes.
            gold: Hidden utility, None for none.
            missing_eos_score: Replaces the score of a response that the cap ended, None: nothing.
            reward_level: "response" or "token".

        Raises:
            ValueError: "token" with a reward that no token has a share in.
        """
        tokens, rest = (None, reward) if reward_level == "response" else split_off_tokens(reward)
        self.tokens: TokenPart | None = tokens
        self._reward: RewardFn | None = rest
        self._gold, self._missing_eos_score = gold, missing_eos_score
        self._asked = rest if isinstance(rest, AskedReward) else None

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
            named = {} if self._reward is None else score_episodes(self._reward, batch).terms
            for index, slot in enumerate(np.flatnonzero(is_scored)):
                terms[slot] = {name: float(values[index]) for name, values in named.items()}
                if self.tokens is not None:
                    total = self.tokens.total(batch[index].token_rewards)
                    terms[slot][self.tokens.name] = total
        for episode, of_episode in zip(episodes, terms, strict=True):
            if self._missing_eos_score is not None and self._lacks_end(episode):
                of_episode[MISSING_EOS_TERM] = float(self._missing_eos_score)
        gold = self._gold_scores(episodes)
        return [
            replace(self._scored(episode, of_episode), gold_score=gold_score)
            for episode, of_episode, gold_score in zip(episodes, terms, gold, strict=True)
        ]

    def token_rewards(self, sequences: Sequence[ResponseSequence]) -> list[np.ndarray | None]:
        """Return the rewards of the actions, (T,) each, None where none are paid."""
        if self.tokens is None or not sequences:
            return [None] * len(sequences)
        return list(self.tokens.reward.token_rewards(sequences))

    def _scored(self, episode: Episode, terms: dict[str, float]) -> Episode:
        """Return the episode with its score, and of the terms what the last step still has to pay.

        The score is the sum over the episode; where tokens were paid before, the last step's term
        is the rest.
        """
        total = float(sum(terms.values()))
        if math.isnan(total):
            return replace(episode, score=None, reward_terms={})
        if self.tokens is not None:
            name = self.tokens.name if self.tokens.name in terms else MISSING_EOS_TERM
            terms[name] -= self.tokens.paid_before_end(episode.token_rewards)
        return replace(episode, score=total, reward_terms=terms)

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
