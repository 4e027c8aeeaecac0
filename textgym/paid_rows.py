"""What N rows of a token-level MDP are paid: at once by step, or withheld and settled later.

Shape letters: N rows, L width.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial

import numpy as np

from textgym.config import REWARD_TIMINGS, check_kl_coef, check_temperature
from textgym.masked_reference import MaskedReference
from textgym.mdp_rows import MDPRows
from textgym.pending_rewards import PendingRewards, SettledEpisode
from textgym.response_end import known_history
from textgym.scoring import EpisodeScorer, with_kl_term
from textgym.task import TextTask
from textgym.token_payments import TokenPayments
from textgym.types import Episode


class PaidRows:
    """The rows and everything that pays them; `TokenMDP` moves them.

    Attributes:
        task: What the environment is made of.
        rows: The state.
        width: L, `max_prompt_tokens + max_new_tokens`, and the `max_reply_tokens` of an
            environment that answers.
        vocab_size: V, also the value of empty cells.
        kl_coef: Weight of log pi_ref in the reward.
        temperature: Of pi_ref's softmax.
        reward_timing: "step" or "deferred".
        pending: What was played while rewards are withheld.
    """

    def __init__(self, task: TextTask, num_rows: int) -> None:
        """Build empty rows; each needs a reset before its first step."""
        config = task.config
        self.task = task
        self.width = config.max_prompt_tokens + config.max_new_tokens
        if task.responder is not None:
            self.width += task.responder.max_reply_tokens
        self.vocab_size = task.tokenizer.vocab_size
        self.kl_coef = float(config.kl_coef)
        self.temperature = float(config.temperature)
        self.reward_timing = config.reward_timing
        self.rows = MDPRows.empty(num_rows, self.width, config.max_new_tokens, self.vocab_size)
        self.pending = PendingRewards(num_rows)
        self._reference: MaskedReference | None = None
        if task.make_reference is not None:
            self._reference = MaskedReference(
                task.make_reference(num_rows, self.width),
                task.mask_fn,
                self.width,
                self.vocab_size,
            )
        self._scorer = EpisodeScorer(
            task.reward, task.gold, config.missing_eos_score, config.reward_level
        )
        self._token_payments: TokenPayments | None = None
        if self._scorer.tokens is not None:
            self._token_payments = TokenPayments(self._scorer.tokens, num_rows, self.width)
        self._check_timing(config.reward_timing)
        self._row_index = np.arange(num_rows)

    @property
    def has_reference(self) -> bool:
        """Whether rewards hold a KL half and infos a `ref_log_prob`."""
        return self._reference is not None

    def set_kl_coef(self, value: float) -> None:
        """Change the weight of log pi_ref, between rollouts only.

        Raises:
            ValueError: Out of range, or rewards are pending.
        """
        check_kl_coef(value)
        self._refuse_if_pending("kl_coef")
        self.kl_coef = float(value)

    def set_temperature(self, value: float) -> None:
        """Change the temperature of pi_ref, between rollouts only.

        Raises:
            ValueError: Out of range, or rewards are pending.
        """
        check_temperature(value)
        self._refuse_if_pending("temperature")
        self.temperature = float(value)

    def set_reward_timing(self, timing: str) -> None:
        """Switch between "step" and "deferred"; pending rewards are discarded with a warning.

        Raises:
            ValueError: Another value, or "step" with a teacher who may answer later or never.
        """
        if timing not in REWARD_TIMINGS:
            raise ValueError(f"reward_timing must be one of {REWARD_TIMINGS}, got {timing!r}")
        self._check_timing(timing)
        self.discard_pending(f"reward_timing was set to {timing!r}")
        self.reward_timing = timing

    def settle(self) -> tuple[np.ndarray, list[SettledEpisode]]:
        """Return the withheld rewards (steps, N) float32 and the episodes that ended.

        Raises:
            ValueError: Rewards are not withheld, or a score is NaN or infinite.
        """
        if self.reward_timing != "deferred":
            raise ValueError(
                f"settle_rewards needs reward_timing='deferred', got {self.reward_timing!r}"
            )
        log_probs_of = None
        if self._reference is not None:
            log_probs_of = partial(self._reference.sequence_log_probs, temperature=self.temperature)
        return self.pending.settle(
            self.rows,
            scorer=self._scorer,
            kl_coef=self.kl_coef,
            sequence_log_probs=log_probs_of,
        )

    def discard_pending(self, because: str) -> None:
        """Forget withheld rewards; warns where there are any."""
        if self.pending.num_steps:
            warnings.warn(
                f"{self.pending.num_steps} steps of withheld rewards are discarded: {because}; "
                f"call settle_rewards() first to keep them",
                RuntimeWarning,
                stacklevel=3,
            )
        self.pending.restart(self.rows)

    def _pay(
        self,
        ref_log_probs: np.ndarray | None,
        episodes: dict[int, Episode],
        acting: np.ndarray | None,
        by_token: tuple[np.ndarray, np.ndarray] | None,
    ) -> tuple[np.ndarray, np.ndarray | None, dict[int, Episode]]:
        rewards = np.zeros(len(self.rows))
        if ref_log_probs is not None:
            rewards = self.kl_coef * ref_log_probs
        kl_rewards, token_rewards = rewards, None
        if by_token is not None:
            token_rewards, paid = by_token
            rewards = rewards + paid
            episodes = {row: self._with_tokens(row, e) for row, e in episodes.items()}
        scored = {}
        asked = self._scorer.ask(list(episodes.values()))
        if episodes:
            batch = self._scorer.score(asked)
            for row, episode in zip(episodes, batch, strict=True):
                kl = None if ref_log_probs is None else float(kl_rewards[row])
                scored[row], rewards[row] = with_kl_term(episode, kl)
        self._record(rewards, ref_log_probs, acting)
        for row, episode in scored.items():
            scored[row] = self._with_history(row, episode)
        return rewards, token_rewards, scored

    def _with_tokens(self, row: int, episode: Episode) -> Episode:
        values = self.rows.token_rewards[row, : int(self.rows.num_actions[row])]
        return replace(episode, token_rewards=tuple(values.tolist()))

    def _record(
        self, rewards: np.ndarray, ref_log_probs: np.ndarray | None, acting: np.ndarray | None
    ) -> None:
        index = self._row_index if acting is None else np.flatnonzero(acting)
        cells = self.rows.num_actions[index] - 1
        self.rows.rewards[index, cells] = rewards[index]
        if ref_log_probs is not None:
            self.rows.ref_log_probs[index, cells] = ref_log_probs[index]

    def _with_history(self, row: int, episode: Episode) -> Episode:
        count = int(self.rows.num_actions[row])
        return replace(
            episode,
            rewards=known_history(self.rows.rewards[row, :count]),
            ref_log_probs=known_history(self.rows.ref_log_probs[row, :count]),
        )

    def _withhold(self, episodes: dict[int, Episode]) -> np.ndarray:
        self.pending.count_step()
        asked = self._scorer.ask(list(episodes.values()))
        for row, episode in zip(episodes, asked, strict=True):
            self.pending.close(self.rows, row, episode)
        return np.zeros(len(self.rows))

    def _check_timing(self, timing: str) -> None:
        if timing == "step" and not self._scorer.answers_at_once:
            raise ValueError(
                f"reward {self.task.config.reward!r} with the teacher "
                f"{self.task.config.teacher or ''!r} and teacher_budget="
                f"{self.task.config.teacher_budget!r} may leave an episode unanswered (delay, "
                f"skips, drop-out, a budget), which a step cannot pay: expected "
                f"reward_timing='deferred' (vector environments), got {timing!r}"
            )

    def _refuse_if_pending(self, name: str) -> None:
        if self.pending.num_steps:
            raise ValueError(
                f"{name} may change between rollouts only, got a change with "
                f"{self.pending.num_steps} steps of withheld rewards; settle_rewards() first"
            )
