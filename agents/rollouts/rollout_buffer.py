"""The rollout buffer: each token stored once, dealt out as packed segments.

Shape letters: N environments, T steps of a rollout, L observation width, S segments, M packed
action tokens. A *segment* is the part of one episode that one rollout saw, with its context.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import DictRolloutBufferSamples

from textgym.agents.advantages import generalized_advantages, whiten
from textgym.agents.rollouts.segment_groups import balanced_groups, prompt_bundles

ADVANTAGE_NORMS = ("batch", "rollout")


class SequenceRolloutBuffer(RolloutBuffer):
    """Stores one rollout of a text environment and deals it out segment by segment.

    `get(batch_size)` yields samples whose `observations` are `{"ids" (S, width) int64, "is_action"
    (S, width) bool, "prompt_lengths" (S,) int64}` and whose other fields are 1-D over the True
    cells of `is_action` in row-major order, so that SB3's `train()` runs on them unchanged.

    Args:
        buffer_size: Steps T per environment.
        observation_space: `Box(0, V, (L,), int64)`; V marks an empty cell.
        action_space: `Discrete(A)`.
        device: Where samples go.
        gae_lambda: See `generalized_advantages`.
        gamma: See `generalized_advantages`.
        n_envs: Environments N.
        action_tokens: (A,) action to token id; None is the identity.
        whiten_rewards: Scale the KL-shaped rewards to variance 1, keeping their mean.
        advantage_norm: "rollout" whitens the advantages once over the rollout; "batch" leaves
            them to the algorithm, which normalises each minibatch.
        group_size: Neighbouring rows that answer the same prompts; their segments of one prompt
            are dealt together, so that it is encoded once.
        seed: Seed of the generator that deals the segments.

    Raises:
        ValueError: `advantage_norm` is neither of its two values.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: th.device | str = "auto",
        gae_lambda: float = 0.95,
        gamma: float = 1.0,
        n_envs: int = 1,
        *,
        action_tokens: Sequence[int] | np.ndarray | None = None,
        whiten_rewards: bool = False,
        advantage_norm: str = "batch",
        group_size: int = 1,
        seed: int | None = None,
    ) -> None:
        """Check the spaces and take memory; see the class."""
        if advantage_norm not in ADVANTAGE_NORMS:
            raise ValueError(
                f"advantage_norm must be one of {ADVANTAGE_NORMS}, got {advantage_norm!r}"
            )
        if not isinstance(observation_space, spaces.Box):
            raise ValueError(f"the observation space must be a Box, got {observation_space!r}")
        if not isinstance(action_space, spaces.Discrete):
            raise ValueError(f"the action space must be Discrete, got {action_space!r}")
        self.empty_id = int(observation_space.high.max())
        self.width = int(observation_space.shape[0])
        self._id_type = np.uint16 if self.empty_id < 2**16 else np.int32
        self.action_tokens = _table(action_tokens, int(action_space.n))
        self.whiten_rewards = whiten_rewards
        self.advantage_norm = advantage_norm
        self.group_size = group_size
        self.rng = np.random.default_rng(seed)
        super().__init__(
            buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs
        )

    def reset(self) -> None:
        """Forget the last rollout."""
        shape = (self.n_envs, self.buffer_size)
        self.actions = np.zeros(shape, self._id_type)
        self.log_probs = np.zeros(shape, np.float32)
        self.rewards = np.zeros(shape, np.float32)
        self.advantages = np.zeros(shape, np.float32)
        self.step_values = np.zeros(shape, np.float32)
        self.is_end = np.zeros(shape, bool)
        self.is_valid = np.zeros(shape, bool)
        self._unanswered: np.ndarray | None = None
        position_type = np.uint16 if self.width < 2**16 else np.int32
        self.positions = np.zeros(shape, position_type)
        self.ids = np.zeros(0, self._id_type)
        self.offsets = np.zeros(1, np.int64)
        self.segments = np.zeros((0, 4), np.int32)
        self._pieces: list[np.ndarray] = []
        self._bounds: list[tuple[int, int, int, int]] = []
        self._opened = np.full(self.n_envs, -1)
        self.pos = 0
        self.full = False

    def add(  # type: ignore[override]
        self,
        obs: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        episode_start: np.ndarray,
        value: np.ndarray,
        log_prob: np.ndarray,
        *,
        dones: np.ndarray,
        prompt_lengths: np.ndarray,
        is_valid: np.ndarray | None = None,
    ) -> None:
        """Store one step of every environment.

        Args:
            obs: (N, L) observations that were acted on.
            action: (N,) actions.
            reward: (N,) rewards; `rewards` may be overwritten until advantages are computed.
            episode_start: (N,) bool, SB3's argument; the segments follow `dones`.
            value: (N,) values of `obs`.
            log_prob: (N,) log-probabilities of `action`, nats.
            dones: (N,) bool, True where this step ended the episode.
            prompt_lengths: (N,) length of each row's prompt.
            is_valid: (N,) bool, False where a row only waits for its group; None: all count.
        """
        del episode_start
        step = self.pos
        valid = np.ones(self.n_envs, bool) if is_valid is None else is_valid
        lengths = (obs != self.empty_id).sum(axis=1)
        self.actions[:, step] = np.asarray(action).reshape(-1)
        self.rewards[:, step] = reward
        self.step_values[:, step] = np.asarray(value).reshape(-1)
        self.log_probs[:, step] = np.asarray(log_prob).reshape(-1)
        self.is_valid[:, step] = valid
        self.is_end[:, step] = dones | ~valid
        self.positions[:, step] = lengths
        self._opened[valid & (self._opened < 0)] = step
        self.pos += 1
        self.full = self.pos == self.buffer_size
        for row in np.flatnonzero(valid & (dones | self.full)):
            self._close(int(row), obs[row, : lengths[row]], int(prompt_lengths[row]))
        if self.full:
            self._finish()

    def _close(self, row: int, context: np.ndarray, prompt_length: int) -> None:
        last = self.actions[row, self.pos - 1]
        if self.action_tokens is not None:
            last = self.action_tokens[last]
        self._pieces.append(np.append(context, last).astype(self._id_type))
        self._bounds.append((row, int(self._opened[row]), self.pos, prompt_length))
        self._opened[row] = -1

    def _finish(self) -> None:
        self.ids = np.concatenate(self._pieces) if self._pieces else self.ids
        self.offsets = np.cumsum([0, *(len(piece) for piece in self._pieces)])
        self.segments = np.array(self._bounds, np.int32).reshape(-1, 4)
        self._pieces, self._bounds = [], []

    def set_rewards(self, rewards: np.ndarray) -> None:
        """Take settled rewards, (T, N); NaN marks the steps of an episode that nobody scored.

        `compute_returns_and_advantage` leaves these steps out; until then they count as played.
        """
        is_missing = np.isnan(rewards.T)
        self.rewards[:, : len(rewards)] = np.where(is_missing, 0.0, rewards.T)
        if is_missing.any():
            self._unanswered = np.zeros(self.is_valid.shape, bool)
            self._unanswered[:, : len(rewards)] = is_missing

    def _leave_out_unanswered(self) -> None:
        """Drop the segments of episodes without a score, and their steps."""
        if self._unanswered is None:
            return
        rows, starts = self.segments[:, 0], self.segments[:, 1]
        kept = np.flatnonzero(~self._unanswered[rows, starts])
        pieces = [self.ids[self.offsets[i] : self.offsets[i + 1]] for i in kept]
        self.ids = np.concatenate([self.ids[:0], *pieces])
        self.offsets = np.cumsum([0, *(len(piece) for piece in pieces)])
        self.segments = self.segments[kept]
        self.is_valid &= ~self._unanswered
        self._unanswered = None

    def compute_returns_and_advantage(
        self, last_values: np.ndarray | th.Tensor, dones: np.ndarray
    ) -> None:
        """Leave out what has no score, whiten the rewards where asked, then fill `advantages`.

        Args:
            last_values: (N,) V of the observations after the last step.
            dones: SB3's argument; ends were stored step by step.
        """
        del dones
        if isinstance(last_values, th.Tensor):
            last_values = last_values.detach().cpu().numpy()
        self._leave_out_unanswered()
        if self.whiten_rewards and self.is_valid.any():
            self.rewards[self.is_valid] = whiten(self.rewards[self.is_valid], shift_mean=False)
        self._fill_advantages(np.asarray(last_values).reshape(-1), self.gae_lambda)

    def begin_values_at_mean(
        self, last_values: np.ndarray, cuts: Iterable[tuple[int, int]] = ()
    ) -> float:
        """Give a critic that knows nothing the mean of what its steps were followed by.

        Called after `compute_returns_and_advantage` with values that are all 0; the advantages
        follow.

        Args:
            last_values: (N,) V of the observations after the last step, 0.
            cuts: Row and step of episodes that were cut, after which the critic's word is paid.

        Returns:
            The value of every state from now on: the mean return of the steps within the rollout.
        """
        self._fill_advantages(last_values, gae_lambda=1.0)
        mean = float(self.returns.mean()) if self.is_valid.any() else 0.0
        self.step_values[self.is_valid] += np.float32(mean)
        for row, step in cuts:
            self.rewards[row, step] += self.gamma * mean
        self._fill_advantages(last_values + np.float32(mean), self.gae_lambda)
        return mean

    def _fill_advantages(self, last_values: np.ndarray, gae_lambda: float) -> None:
        self.advantages = np.ascontiguousarray(
            generalized_advantages(
                self.rewards.T,
                self.step_values.T,
                self.is_end.T,
                last_values,
                gamma=self.gamma,
                gae_lambda=gae_lambda,
            ).T
        )

    @property
    def values(self) -> np.ndarray:  # type: ignore[override]
        """(M,) values of all stored steps, in the order of `returns`."""
        return self.step_values[self.is_valid]

    @property
    def returns(self) -> np.ndarray:  # type: ignore[override]
        """(M,) returns (advantage + value) of all stored steps, in the order of `values`."""
        return (self.advantages + self.step_values)[self.is_valid]

    @property
    def n_transitions(self) -> int:
        """How many steps count (waiting steps do not)."""
        return int(self.is_valid.sum())

    @property
    def nbytes(self) -> int:
        """Bytes held by a full buffer's arrays."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))

    def get(  # type: ignore[override]
        self, batch_size: int | None = None
    ) -> Generator[DictRolloutBufferSamples, None, None]:
        """Deal all segments, in a fresh order, into token-balanced groups and yield each group.

        Args:
            batch_size: Transitions aimed at per group; there are `round(total / batch_size)`
                groups, at least one and at most one per segment. None: one group.

        Raises:
            ValueError: `batch_size` is below 1, or the buffer is not full.
        """
        if not self.full:
            raise ValueError(f"the buffer holds {self.pos} of {self.buffer_size} steps")
        for group in self.deal(batch_size):
            yield self.pack(group)

    def deal(self, batch_size: int | None) -> list[np.ndarray]:
        """Give the segment indices of each group; see `get`."""
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size!r}")
        n_groups = 1 if batch_size is None else max(1, round(self.n_transitions / batch_size))
        bundles = prompt_bundles(self.segments, self.ids, self.offsets, self.group_size)
        num_tokens = self.segments[:, 2] - self.segments[:, 1]
        return balanced_groups(bundles, num_tokens, min(n_groups, len(bundles)), self.rng)

    def pack(self, group: np.ndarray) -> DictRolloutBufferSamples:
        """Build the packed sample of some segments (indices, any order)."""
        lengths = self.offsets[group + 1] - self.offsets[group]
        shape = (len(group), int(lengths.max()))
        ids = np.full(shape, self.empty_id, np.int64)
        is_action = np.zeros(shape, bool)
        for place, segment in enumerate(group):
            row, start, stop, _ = self.segments[segment]
            ids[place, : lengths[place]] = self.ids[
                self.offsets[segment] : self.offsets[segment + 1]
            ]
            is_action[place, self.positions[row, start:stop]] = True
        advantages, values = (
            self._gather(self._used_advantages(), group),
            self._gather(self.step_values, group),
        )
        returns = self._gather(self.advantages, group) + values
        observations = {
            "ids": self.to_torch(ids),
            "is_action": self.to_torch(is_action),
            "prompt_lengths": self.to_torch(self.segments[group, 3].astype(np.int64)),
        }
        return DictRolloutBufferSamples(
            observations=observations,
            actions=self.to_torch(self._gather(self.actions, group).astype(np.int64)),
            old_values=self.to_torch(values),
            old_log_prob=self.to_torch(self._gather(self.log_probs, group)),
            advantages=self.to_torch(advantages),
            returns=self.to_torch(returns),
        )

    def overwrite(
        self, group: np.ndarray, *, values: np.ndarray, log_probs: np.ndarray | None = None
    ) -> None:
        """Replace values and log-probabilities of some segments, (M,) each, packed like `pack`."""
        start = 0
        for segment in group:
            row, first, last, _ = self.segments[segment]
            stop = start + last - first
            self.step_values[row, first:last] = values[start:stop]
            if log_probs is not None:
                self.log_probs[row, first:last] = log_probs[start:stop]
            start = stop

    def _used_advantages(self) -> np.ndarray:
        if self.advantage_norm == "batch":
            return self.advantages
        counted = self.advantages[self.is_valid]
        return (self.advantages - counted.mean()) / np.sqrt(counted.var() + 1e-8)

    def _gather(self, numbers: np.ndarray, group: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [numbers[row, start:stop] for row, start, stop, _ in self.segments[group]]
        )


def _table(action_tokens: Sequence[int] | np.ndarray | None, num_actions: int) -> np.ndarray | None:
    """Give (A,) int32, action to token id, or None where action i is token i.

    A table of a whole vocabulary would take more memory than the transitions of a small rollout.
    """
    if action_tokens is None or np.array_equal(action_tokens, np.arange(num_actions)):
        return None
    return np.asarray(action_tokens, dtype=np.int32)
