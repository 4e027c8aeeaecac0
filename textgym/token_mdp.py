"""The dynamics of N rows of a token-level MDP, in NumPy.

State: a prompt and the response so far. Action: one token. A step touches one cell per row and
costs O(N); only rows that end, or that the environment answers, cost Python work of their own.
Shape letters: N rows, L width, A actions, V vocabulary.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from textgym.config import REWARD_TIMINGS, check_kl_coef, check_temperature
from textgym.masked_reference import MaskedReference
from textgym.mdp_rows import MDPRows
from textgym.pending_rewards import PendingRewards, SettledEpisode
from textgym.prompt_choice import PromptEncoder
from textgym.response_end import episode_of, known_history
from textgym.scoring import EpisodeScorer, with_kl_term
from textgym.task import TextTask
from textgym.token_payments import TokenPayments
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


class TokenMDP:
    """N rows that are reset one by one and stepped together.

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
        self._encoder = PromptEncoder(
            task.tokenizer, config.max_prompt_tokens, config.prompt_overflow
        )
        self._ends = ends_of(task)
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
        actions = self._checked(actions, acting)
        allowed = self._allowed_for(actions, acting)
        is_deferred = self.reward_timing == "deferred"
        ref_log_probs = None
        if not is_deferred and self._reference is not None:
            ref_log_probs = self._reference.step_log_probs(
                self.rows, actions, allowed, acting, self.temperature
            )
        tokens = self.task.action_tokens[actions]
        self._write(tokens, acting)
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

    def _checked(self, actions: np.ndarray, acting: np.ndarray | None) -> np.ndarray:
        if acting is not None:
            actions = np.where(acting, actions, 0)
        num_actions = len(self.task.action_tokens)
        if actions.min() < 0 or actions.max() >= num_actions:
            row = int(np.flatnonzero((actions < 0) | (actions >= num_actions))[0])
            raise ValueError(
                f"action must lie in [0, {num_actions}), got {int(actions[row])} in row {row}"
            )
        return actions

    def _allowed_for(self, actions: np.ndarray, acting: np.ndarray | None) -> np.ndarray | None:
        allowed = self.allowed()
        if allowed is None:
            return None
        is_refused = ~allowed[self._row_index, actions]
        if acting is not None:
            is_refused &= acting
        if is_refused.any():
            row = int(np.flatnonzero(is_refused)[0])
            raise ValueError(
                f"action {int(actions[row])} is masked in row {row}; expected one that "
                f"action_masks() allows"
            )
        return allowed

    def _write(self, tokens: np.ndarray, acting: np.ndarray | None) -> None:
        rows = self.rows
        index = self._row_index if acting is None else np.flatnonzero(acting)
        cells = rows.lengths[index]
        rows.ids[index, cells] = tokens[index]
        rows.is_action[index, cells] = True
        rows.lengths[index] += 1
        rows.num_actions[index] += 1

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
