"""Rewards withheld until `settle`: one reference pass and one reward pass over a whole rollout.

Shape letters: N rows, K actions of one segment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from textgym.mdp_rows import MDPRows
from textgym.reference import ResponseSequence
from textgym.response_end import known_history
from textgym.scoring import EpisodeScorer, with_kl_term
from textgym.types import Episode

SequenceLogProbs = Callable[[Sequence[ResponseSequence]], list[np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class SettledEpisode:
    """An episode that ended while rewards were withheld.

    Attributes:
        step: Index of its last step in the array that `settle_rewards` returned.
        row: Its row.
        score: The reward function's number; None where a teacher was asked and has not answered:
            the rewards of the episode's steps are NaN then.
        gold_score: Hidden true utility, None where there is none.
        reward_terms: Named parts of the final step's reward; they sum to it.
        ref_log_probs: log pi_ref of every action of the episode, nats; empty without a reference.
        episode: The whole record.
    """

    step: int
    row: int
    score: float | None
    gold_score: float | None
    reward_terms: Mapping[str, float]
    ref_log_probs: tuple[float, ...]
    episode: Episode


@dataclass(frozen=True, kw_only=True)
class _Segment:
    """Part of one episode whose K rewards are withheld; its steps follow one another.

    `sequence` has the positions of these K actions, `whole` those of all actions so far.
    """

    row: int
    first_step: int
    first_action: int
    sequence: ResponseSequence
    whole: ResponseSequence
    earlier_rewards: np.ndarray
    earlier_ref_log_probs: np.ndarray
    episode: Episode | None

    @property
    def size(self) -> int:
        return len(self.sequence.action_positions)


class PendingRewards:
    """Remembers what was played since the last settlement."""

    def __init__(self, num_rows: int) -> None:
        """Start with nothing pending."""
        self.num_steps = 0
        self._first_step = np.zeros(num_rows, dtype=np.int64)
        self._first_action = np.zeros(num_rows, dtype=np.int64)
        self._closed: list[_Segment] = []

    def restart(self, rows: MDPRows) -> None:
        """Forget everything; what the rows play from here on is pending."""
        self.num_steps = 0
        self._closed = []
        self._first_step[:] = 0
        self._first_action[:] = rows.num_actions

    def begin(self, row: int, num_actions: int) -> None:
        """Note that the row's state was replaced and holds `num_actions` actions."""
        self._first_step[row] = self.num_steps
        self._first_action[row] = num_actions

    def count_step(self) -> None:
        """Note that a step begins."""
        self.num_steps += 1

    def close(self, rows: MDPRows, row: int, episode: Episode | None = None) -> None:
        """Keep the row's open segment, if it has one; call before the row's state is replaced."""
        segment = self._open_segment(rows, row, episode)
        if segment is not None:
            self._closed.append(segment)
        self.begin(row, int(rows.num_actions[row]))

    def settle(
        self,
        rows: MDPRows,
        *,
        scorer: EpisodeScorer,
        kl_coef: float,
        sequence_log_probs: SequenceLogProbs | None,
    ) -> tuple[np.ndarray, list[SettledEpisode]]:
        """Pay everything that is pending and restart.

        Returns:
            The rewards (steps, N) float32, NaN at the steps of an episode that ended and has no
            answer, and the episodes that ended, by step then row.
        """
        rewards = np.zeros((self.num_steps, len(rows)), dtype=np.float64)
        still_open = [self._open_segment(rows, row, None) for row in range(len(rows))]
        segments = [*self._closed, *(s for s in still_open if s is not None)]
        log_probs = _log_probs(segments, sequence_log_probs)
        token_rewards = scorer.token_rewards([segment.whole for segment in segments])
        for segment, values, tokens in zip(segments, log_probs, token_rewards, strict=True):
            stop = segment.first_step + segment.size
            own = rewards[segment.first_step : stop, segment.row]
            own += 0.0 if values is None else kl_coef * values
            if tokens is not None and scorer.tokens is not None:
                own += scorer.tokens.payments(tokens)[segment.first_action :]
        segments = [
            _with_tokens(segment, tokens)
            for segment, tokens in zip(segments, token_rewards, strict=True)
        ]
        settled = self._score(segments, log_probs, rewards, scorer, kl_coef)
        num_closed = len(self._closed)
        self._write_history(rows, still_open, log_probs[num_closed:], rewards)
        for open_segment, tokens in zip(
            (s for s in still_open if s is not None), token_rewards[num_closed:], strict=True
        ):
            if tokens is not None:
                rows.token_rewards[open_segment.row, : len(tokens)] = tokens
        self.restart(rows)
        return rewards.astype(np.float32), settled

    def _score(
        self,
        segments: list[_Segment],
        log_probs: list[np.ndarray | None],
        rewards: np.ndarray,
        scorer: EpisodeScorer,
        kl_coef: float,
    ) -> list[SettledEpisode]:
        ended = [(s, values) for s, values in zip(segments, log_probs, strict=True) if s.episode]
        scored = scorer.score([s.episode for s, _ in ended if s.episode is not None])
        settled = []
        for (segment, values), episode in zip(ended, scored, strict=True):
            step = segment.first_step + segment.size - 1
            kl = None if values is None else kl_coef * float(values[-1])
            episode, rewards[step, segment.row] = with_kl_term(episode, kl)
            if episode.score is None:
                # Every step, so that no sum over them passes for the episode's reward.
                rewards[segment.first_step : step + 1, segment.row] = np.nan
            own = rewards[segment.first_step : step + 1, segment.row]
            known = [] if values is None else [segment.earlier_ref_log_probs, values]
            episode = replace(
                episode,
                rewards=known_history(np.concatenate([segment.earlier_rewards, own])),
                ref_log_probs=known_history(np.concatenate(known)) if known else (),
            )
            settled.append(_settled(step, segment.row, episode))
        return sorted(settled, key=lambda item: (item.step, item.row))

    def _open_segment(self, rows: MDPRows, row: int, episode: Episode | None) -> _Segment | None:
        first, end = int(self._first_action[row]), int(rows.num_actions[row])
        if end <= first:
            return None
        whole = rows.sequence(row)
        return _Segment(
            row=row,
            first_step=int(self._first_step[row]),
            first_action=first,
            sequence=replace(whole, action_positions=whole.action_positions[first:]),
            whole=whole,
            earlier_rewards=rows.rewards[row, :first].copy(),
            earlier_ref_log_probs=rows.ref_log_probs[row, :first].copy(),
            episode=episode,
        )

    @staticmethod
    def _write_history(
        rows: MDPRows,
        still_open: list[_Segment | None],
        log_probs: list[np.ndarray | None],
        rewards: np.ndarray,
    ) -> None:
        segments = [segment for segment in still_open if segment is not None]
        for segment, values in zip(segments, log_probs, strict=True):
            actions = slice(segment.first_action, segment.first_action + segment.size)
            steps = slice(segment.first_step, segment.first_step + segment.size)
            rows.rewards[segment.row, actions] = rewards[steps, segment.row]
            if values is not None:
                rows.ref_log_probs[segment.row, actions] = values


def _log_probs(
    segments: list[_Segment], sequence_log_probs: SequenceLogProbs | None
) -> list[np.ndarray | None]:
    if sequence_log_probs is None or not segments:
        return [None] * len(segments)
    return list(sequence_log_probs([segment.sequence for segment in segments]))


def _with_tokens(segment: _Segment, tokens: np.ndarray | None) -> _Segment:
    if segment.episode is None or tokens is None:
        return segment
    episode = replace(segment.episode, token_rewards=tuple(tokens.astype(np.float64).tolist()))
    return replace(segment, episode=episode)


def _settled(step: int, row: int, episode: Episode) -> SettledEpisode:
    return SettledEpisode(
        step=step,
        row=row,
        score=episode.score,
        gold_score=episode.gold_score,
        reward_terms=episode.reward_terms,
        ref_log_probs=episode.ref_log_probs,
        episode=episode,
    )
