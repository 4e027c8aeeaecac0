"""What a rollout logs. Every metric is defined in docs/algorithms.md.

Shape letters: T steps, N environments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from textgym.types import ENDED_METRIC, own_reasons


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One response, for people to read.

    Attributes:
        prompt: Decoded prompt.
        response: Decoded response.
        score: The reward's number, None where unknown.
        gold_score: The hidden true utility, None where the task has none.
        finish_reason: As in `Episode`.
        timestep: `num_timesteps` at the end of the rollout that saw it.
    """

    prompt: str
    response: str
    score: float | None
    gold_score: float | None
    finish_reason: str
    timestep: int


@dataclass(frozen=True, kw_only=True)
class EpisodeEnd:
    """What the environment said about an episode that ended at (`step`, `row`) of a rollout.

    Attributes:
        step: Step of the rollout, from 0.
        row: Environment.
        score: None where unknown.
        gold_score: None where the task has none.
        finish_reason: As in `Episode`; "" where unknown.
        ref_log_prob: log pi_ref of the whole response, nats; None where unknown.
        is_answered: False where a teacher was asked for the score and had not answered: nothing is
            learned from the episode.
    """

    step: int
    row: int
    score: float | None = None
    gold_score: float | None = None
    finish_reason: str = ""
    ref_log_prob: float | None = None
    is_answered: bool = True


@dataclass(frozen=True, kw_only=True)
class FinishedEpisode:
    """Sums over one whole episode, over several rollouts where it spans them.

    Attributes:
        end: What the environment said at its end.
        n_tokens: Actions taken.
        env_return: Sum of the environment's rewards.
        log_prob: Sum of log pi(a|s) of the policies that acted, nats.
        ref_log_prob: Sum of log pi_ref(a|s), nats; None where unknown.
    """

    end: EpisodeEnd
    n_tokens: int
    env_return: float
    log_prob: float
    ref_log_prob: float | None

    @property
    def kl(self) -> float | None:
        """Log pi - log pi_ref summed over the response: one draw of the sequence KL, nats."""
        return None if self.ref_log_prob is None else self.log_prob - self.ref_log_prob


class EpisodeTally:
    """Sums up episodes across rollouts: what is still open at one's end goes on in the next.

    Attributes:
        open_sums: (N, 4) float64 of each row's open episode: tokens, the environment's return,
            log pi and log pi_ref in nats.
    """

    def __init__(self, n_envs: int) -> None:
        """Start with no open episode."""
        self.open_sums = np.zeros((n_envs, 4), np.float64)

    def reset(self) -> None:
        """Forget open episodes, as a reset of the environment does."""
        self.open_sums[:] = 0

    def count(
        self,
        *,
        rewards: np.ndarray,
        log_probs: np.ndarray,
        ref_log_probs: np.ndarray | None,
        is_valid: np.ndarray,
        is_done: np.ndarray,
        ends: Iterable[EpisodeEnd],
    ) -> list[FinishedEpisode]:
        """Add a rollout and give the episodes that ended in it, in order of step and row.

        Args:
            rewards: (T, N) rewards of the environment.
            log_probs: (T, N) log pi(a|s), nats.
            ref_log_probs: (T, N) log pi_ref(a|s), nats, NaN where unknown; None: all unknown.
            is_valid: (T, N) bool, False where a row only waited.
            is_done: (T, N) bool, True where an episode ended.
            ends: What the environment said, one for any ended episode.
        """
        known = {(end.step, end.row): end for end in ends}
        refs = np.full(rewards.shape, np.nan) if ref_log_probs is None else ref_log_probs
        terms = np.stack([np.ones_like(rewards), rewards, log_probs, refs], axis=-1)
        terms = np.where(is_valid[:, :, None], terms, 0.0)
        finished = []
        for step in range(len(rewards)):
            self.open_sums += terms[step]
            for row in np.flatnonzero(is_done[step] & is_valid[step]):
                end = known.get((step, int(row)), EpisodeEnd(step=step, row=int(row)))
                finished.append(_finished(self.open_sums[row], end))
                self.open_sums[row] = 0
        return finished


def _finished(sums: np.ndarray, end: EpisodeEnd) -> FinishedEpisode:
    n_tokens, env_return, log_prob, ref = (float(value) for value in sums)
    if end.ref_log_prob is not None:
        ref = end.ref_log_prob
    return FinishedEpisode(
        end=end,
        n_tokens=int(n_tokens),
        env_return=env_return,
        log_prob=log_prob,
        ref_log_prob=None if math.isnan(ref) else ref,
    )


def mean_kl(episodes: Iterable[FinishedEpisode]) -> float | None:
    """Mean over the episodes of the KL summed over the response, nats; None without any."""
    return _mean(episode.kl for episode in episodes)


def rollout_metrics(
    episodes: list[FinishedEpisode], *, kl_coef: float, log_probs: np.ndarray
) -> dict[str, float]:
    """Make the `rollout/...` metrics; those without a single episode to average are left out.

    Args:
        episodes: Those that ended in the rollout.
        kl_coef: KL weight during the rollout.
        log_probs: (M,) log pi(a|s) of all steps that count, nats.
    """
    kl = mean_kl(episodes)
    answered = [episode for episode in episodes if episode.end.is_answered]
    scores = [episode.end.score for episode in episodes]
    found: Mapping[str, float | None] = {
        "score": _mean(scores),
        "score_std": _std(scores),
        "gold_score": _mean(episode.end.gold_score for episode in episodes),
        "kl": kl,
        "kl_coef": kl_coef,
        "reward": _mean(e.env_return - kl_coef * e.log_prob for e in answered),
        "answered": len(answered) / len(episodes) if len(answered) < len(episodes) else None,
        "response_tokens": _mean(float(episode.n_tokens) for episode in episodes),
        "eos_rate": _mean(
            float(e.end.finish_reason == "eos") for e in episodes if e.end.finish_reason
        ),
        **{
            ENDED_METRIC + reason: _mean(float(e.end.finish_reason == reason) for e in episodes)
            for reason in own_reasons(e.end.finish_reason for e in episodes)
        },
        "entropy": float(-log_probs.mean()) if log_probs.size else None,
        "episodes": float(len(episodes)),
    }
    return {f"rollout/{name}": value for name, value in found.items() if value is not None}


def _mean(numbers: Iterable[float | None]) -> float | None:
    kept = [number for number in numbers if number is not None]
    return float(np.mean(kept)) if kept else None


def _std(numbers: Iterable[float | None]) -> float | None:
    kept = [number for number in numbers if number is not None]
    return float(np.std(kept)) if kept else None
