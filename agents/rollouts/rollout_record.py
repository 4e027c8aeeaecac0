"""What one rollout leaves behind besides the buffer's contents: ends, samples, bootstraps.

Shape letters: T steps of a rollout, N environments, L observation width.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.vec_env import VecEnv

from textgym.agents.policies.transformer_policy import TransformerPolicy
from textgym.agents.rollouts.rollout_buffer import SequenceRolloutBuffer
from textgym.agents.rollouts.statistics import EpisodeEnd, Sample
from textgym.agents.rollouts.task_facts import TaskFacts, settling_env
from textgym.agents.rollouts.vec_env_adapter import SettlesRewards

N_SAMPLES = 4


@contextlib.contextmanager
def deferred_rewards(env: VecEnv) -> Iterator[SettlesRewards | None]:
    """Defer rewards inside, where the environment can, and put its timing back in any case."""
    settling = settling_env(env)
    if settling is None:
        yield None
        return
    before = settling.reward_timing
    settling.set_reward_timing("deferred")
    try:
        yield settling
    finally:
        settling.set_reward_timing(before)


class RolloutRecord:
    """What one rollout's steps leave behind besides the buffer's contents."""

    def __init__(self, *, env: VecEnv, gamma: float) -> None:
        """Start empty; `gamma` discounts the value of observations that a wrapper cut off."""
        self.gamma = gamma
        self.ends: list[EpisodeEnd] = []
        self.bootstraps: list[tuple[int, int, float]] = []
        self._is_deferred = settling_env(env) is not None
        self._n_steps = 0
        self._refs: list[np.ndarray] = []
        self._texts: deque[tuple[EpisodeEnd, np.ndarray, dict[str, Any]]] = deque(maxlen=N_SAMPLES)

    def note(
        self,
        infos: list[dict[str, Any]],
        dones: np.ndarray,
        obs: np.ndarray,
        actions: np.ndarray,
        prompt_lengths: np.ndarray,
        policy: TransformerPolicy,
    ) -> None:
        """Take in one step."""
        step = self._n_steps
        self._n_steps += 1
        if not self._is_deferred:
            self._refs.append(np.array([info.get("ref_log_prob", np.nan) for info in infos]))
        for row in np.flatnonzero(dones).tolist():
            info = infos[row]
            end = EpisodeEnd(
                step=step,
                row=row,
                score=info.get("score"),
                gold_score=info.get("gold_score"),
                finish_reason=info.get("finish_reason", ""),
            )
            self.ends.append(end)
            self._texts.append((end, obs[row, : prompt_lengths[row]], info))
        self._bootstrap(step, infos, dones, policy)

    def _bootstrap(
        self,
        step: int,
        infos: list[dict[str, Any]],
        dones: np.ndarray,
        policy: TransformerPolicy,
    ) -> None:
        """Give rows that a wrapper cut short the value of their last observation, in one batch."""
        cut = [
            row
            for row in np.flatnonzero(dones).tolist()
            if infos[row].get("TimeLimit.truncated") and "terminal_observation" in infos[row]
        ]
        if cut:
            final = np.stack([infos[row]["terminal_observation"] for row in cut])
            with th.no_grad():
                values = policy.predict_values(final).flatten().cpu().numpy()
            self.bootstraps += [
                (row, step, self.gamma * float(value))
                for row, value in zip(cut, values, strict=True)
            ]

    def settle(self, settling: SettlesRewards, buffer: SequenceRolloutBuffer) -> None:
        """Fetch the withheld rewards into the buffer and complete the episodes' ends."""
        buffer.set_rewards(settling.settle_rewards())
        self.ends = [
            EpisodeEnd(
                step=settled.step,
                row=settled.row,
                score=settled.score,
                is_answered=settled.score is not None,
                gold_score=settled.gold_score,
                finish_reason=settled.episode.finish_reason,
                ref_log_prob=_sum_or_none(settled.ref_log_probs),
            )
            for settled in settling.settled_episodes
        ]

    def ref_log_probs(self) -> np.ndarray | None:
        """(T, N) log pi_ref by step, NaN where unknown; None where only whole episodes have it."""
        return None if self._is_deferred else np.stack(self._refs)

    def samples(self, facts: TaskFacts, timestep: int) -> list[Sample]:
        """Decode the last few responses."""
        known = {(end.step, end.row): end for end in self.ends}
        return [
            Sample(
                prompt=facts.tokenizer.decode(prompt_ids),
                response=str(info.get("response", "")),
                score=known[first.step, first.row].score,
                gold_score=known[first.step, first.row].gold_score,
                finish_reason=first.finish_reason,
                timestep=timestep,
            )
            for first, prompt_ids, info in self._texts
        ]


def _sum_or_none(numbers: Sequence[float]) -> float | None:
    return float(np.sum(numbers)) if len(numbers) else None
