"""The dynamics of N rows of a token-level MDP, in NumPy.

State: a prompt and the response so far. Action: one token. A step touches one cell per row and
costs O(N); only rows that end, or that the environment answers, cost Python work of their own.
Shape letters: N rows, L width, A actions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from textgym.action_checks import checked_actions, require_allowed
from textgym.mdp_rows import MDPRows
from textgym.paid_rows import PaidRows
from textgym.prompt_choice import PromptEncoder
from textgym.response_end import episode_of
from textgym.task import TextTask
from textgym.turn_taking import ends_of
from textgym.types import Episode, Prompt


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What one step of all rows gave.

    Attributes:
        rewards: (N,) float64; zeros where they are withheld or the row did not act.
        ended: (N,) bool, True where this step ended the row's episode.
        ref_log_probs: (N,) float64, nats, 0 where the row did not act; None without a reference
            and where rewards are withheld.
        token_rewards: (N,) float64, the learned reward of each row's token, 0 where the row did
            not act; None unless rewards are paid by token, and where they are withheld.
        episodes: Row to episode for the rows that ended; scored unless rewards are withheld.
    """

    rewards: np.ndarray
    ended: np.ndarray
    ref_log_probs: np.ndarray | None
    token_rewards: np.ndarray | None
    episodes: dict[int, Episode]


class TokenMDP(PaidRows):
    """N rows that are reset one by one and stepped together; see `PaidRows` for its attributes."""

    def __init__(self, task: TextTask, num_rows: int) -> None:
        """Build empty rows; each needs a reset before its first step."""
        super().__init__(task, num_rows)
        self._encoder = PromptEncoder(
            task.tokenizer, task.config.max_prompt_tokens, task.config.prompt_overflow
        )
        self._ends = ends_of(task)

    def reset(
        self,
        rows: Iterable[int],
        prompts: Sequence[Prompt],
        reply_seeds: Sequence[int] | None = None,
    ) -> None:
        """Begin an episode in each of `rows` with its prompt.

        Args:
            rows: R rows.
            prompts: R prompts.
            reply_seeds: R seeds of what the environment answers; None for zeros.
        """
        rows = list(rows)
        encoded = self._encoder.encode_all(prompts)
        for row, prompt, prompt_ids in zip(rows, prompts, encoded, strict=True):
            if self.reward_timing == "deferred":
                self.pending.close(self.rows, row)
                self.pending.begin(row, 0)
            self.rows.begin(row, prompt, prompt_ids, self.vocab_size)
        self.rows.reply_seeds[rows] = 0 if reply_seeds is None else reply_seeds

    def observation(self) -> np.ndarray:
        """Return a fresh (N, L) int64 array of token ids."""
        return self.rows.ids.copy()

    def allowed(self) -> np.ndarray | None:
        """Return (N, A) bool, True where the action is allowed, or None where all are."""
        if self.task.mask_fn is None:
            return None
        return self.task.mask_fn(self.rows.ids, self.rows.lengths, self.rows.prompt_lengths)

    def step(self, actions: np.ndarray, acting: np.ndarray | None = None) -> StepResult:
        """Write one token per row.

        Args:
            actions: (N,) integers in [0, A).
            acting: (N,) bool, False for rows that wait: their action is not even looked at.
                None where all act.

        Raises:
            ValueError: An action out of range or masked; a score that is NaN or infinite. An
                action that is refused leaves every row as it was.
        """
        actions = checked_actions(actions, len(self.task.action_tokens), acting)
        allowed = self._allowed_for(actions, acting)
        is_deferred = self.reward_timing == "deferred"
        ref_log_probs = None
        if not is_deferred and self._reference is not None:
            ref_log_probs = self._reference.step_log_probs(
                self.rows, actions, allowed, acting, self.temperature
            )
        tokens = self.task.action_tokens[actions]
        index = self._row_index if acting is None else np.flatnonzero(acting)
        self.rows.write(index, tokens[index])
        by_token = None
        if self._token_payments is not None and not is_deferred:
            # Before the environment answers: the action is the last token.
            by_token = self._token_payments.step(self.rows, acting)
        episodes = self._ended_now(tokens, acting)
        ended = np.zeros(len(self.rows), dtype=np.bool_)
        ended[list(episodes)] = True
        self.rows.ended |= ended
        if is_deferred:
            return StepResult(
                rewards=self._withhold(episodes),
                ended=ended,
                ref_log_probs=None,
                token_rewards=None,
                episodes=episodes,
            )
        rewards, token_rewards, episodes = self._pay(ref_log_probs, episodes, acting, by_token)
        return StepResult(
            rewards=rewards,
            ended=ended,
            ref_log_probs=ref_log_probs,
            token_rewards=token_rewards,
            episodes=episodes,
        )

    def get_state(self, rows: Sequence[int] | np.ndarray) -> MDPRows:
        """Return exact copies of rows; the caller adds the generators."""
        return self.rows.copy_of(np.asarray(rows, dtype=np.int64))

    def set_state(self, rows: Sequence[int] | np.ndarray, state: MDPRows) -> None:
        """Overwrite rows; what they played before stays pending where rewards are withheld."""
        indices = np.asarray(rows, dtype=np.int64)
        if self.reward_timing == "deferred":
            for row in indices.tolist():
                self.pending.close(self.rows, row)
        self.rows.put(indices, state)
        for row in indices.tolist():
            self.pending.begin(row, int(self.rows.num_actions[row]))

    def _allowed_for(self, actions: np.ndarray, acting: np.ndarray | None) -> np.ndarray | None:
        allowed = self.allowed()
        if allowed is None:
            return None
        require_allowed(allowed, actions, acting)
        return allowed

    def _ended_now(self, tokens: np.ndarray, acting: np.ndarray | None) -> dict[int, Episode]:
        """Let the environment answer where it does, and record the episodes that end."""
        reasons = self._ends.reasons(self.rows, tokens, acting)
        has_turns = self.task.responder is not None
        episodes = {
            row: episode_of(self.rows, row, self.task.tokenizer, reason, has_turns=has_turns)
            for row, reason in reasons.items()
        }
        return {row: self._with_regret(episode) for row, episode in episodes.items()}

    def _with_regret(self, episode: Episode) -> Episode:
        if self.task.regret is None:
            return episode
        return replace(episode, regret=self.task.regret(episode, self.kl_coef, self.temperature))
