"""Cuts what an environment without text does into segments that people can judge.

Shape letters: K steps of a segment, O observation size, A action size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from textgym.feedback.responses import PromptText, Response, Segment

NO_PROMPT = PromptText(text="")
"""The prompt of a segment: environments without text have none."""


@dataclass(frozen=True, kw_only=True)
class RecordedSegment:
    """A stretch of a trajectory as it was recorded.

    Attributes:
        observations: (K, O) float32, flattened: what was seen before each action.
        actions: (K,) int64, or (K, A) float32.
        true_rewards: (K,) float64 of the environment itself.
        terminated: Whether the episode terminated at the last step.
    """

    observations: np.ndarray
    actions: np.ndarray
    true_rewards: np.ndarray
    terminated: bool

    def as_segment(self) -> Segment:
        """Return the record of it."""
        actions = self.actions.tolist()
        return Segment(
            observations=tuple(map(tuple, self.observations.tolist())),
            actions=tuple(actions if self.actions.ndim == 1 else map(tuple, actions)),
            true_rewards=tuple(self.true_rewards.tolist()),
            terminated=self.terminated,
        )

    def as_response(self, policy_fingerprint: str = "") -> Response:
        """Return what a teacher judges; its hidden gold is the true return.

        Steps after the end of an episode pay 0: a segment that was cut short by the end of its
        episode has the return of fewer steps.
        """
        return Response(
            prompt=NO_PROMPT,
            text="",
            segment=self.as_segment(),
            finish_reason="",
            policy_fingerprint=policy_fingerprint,
            gold_score=float(self.true_rewards.sum()),
        )


class SegmentRecorder:
    """Records one row's steps and hands over each segment of K steps as it is complete.

    Segments follow one another from the beginning of the episode. The last one of an episode that
    terminated is handed over although it is shorter: what comes after the end is worth 0, and
    where every step pays the same, as in CartPole, that is all there is to compare. What is left
    over when an episode is cut off (truncation, a reset) is dropped: it would look like an end.
    """

    def __init__(self, segment_length: int, deliver: Callable[[RecordedSegment], None]) -> None:
        """Record for `deliver`, `segment_length` steps (at least 1) at a time."""
        self._length, self._deliver = segment_length, deliver
        self._steps: list[tuple[np.ndarray, np.ndarray | int, float]] = []

    def begin(self) -> None:
        """Begin an episode."""
        self._steps = []

    def add(
        self,
        observation: np.ndarray,
        action: np.ndarray | int,
        true_reward: float,
        *,
        terminated: bool,
    ) -> None:
        """Record a step: what was seen before it, (O,), what was done, and what it truly paid."""
        self._steps.append((observation, action, true_reward))
        if terminated or len(self._steps) == self._length:
            self._hand_over(terminated)

    def _hand_over(self, terminated: bool) -> None:
        observations, actions, rewards = zip(*self._steps, strict=True)
        is_number = isinstance(actions[0], int)
        self._steps = []
        self._deliver(
            RecordedSegment(
                observations=np.array(observations, dtype=np.float32),
                actions=np.array(actions, dtype=np.int64 if is_number else np.float32),
                true_rewards=np.array(rewards, dtype=np.float64),
                terminated=terminated,
            )
        )


class SegmentPool:
    """The newest segments, from which questions are drawn."""

    def __init__(self, size: int) -> None:
        """Keep at most `size` segments."""
        self._segments: deque[RecordedSegment] = deque(maxlen=size)

    def __len__(self) -> int:
        """Segments there are."""
        return len(self._segments)

    def add(self, segment: RecordedSegment) -> None:
        """Add one; the oldest goes where the pool is full."""
        self._segments.append(segment)

    def clear(self) -> None:
        """Forget all."""
        self._segments.clear()

    def take(self, rows: Sequence[int] | np.ndarray) -> list[RecordedSegment]:
        """Return some segments, by their place."""
        return [self._segments[int(row)] for row in rows]

    def all(self) -> list[RecordedSegment]:
        """Return all, oldest first."""
        return list(self._segments)


def draw_pairs(num_segments: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw pairs of different segments, each segment as rarely as possible.

    Returns:
        (count, 2) int64; (0, 2) where there are fewer than two segments.
    """
    if num_segments < 2:
        return np.zeros((0, 2), dtype=np.int64)
    pairs: list[np.ndarray] = []
    missing = count
    while missing > 0:
        found = generator.permutation(num_segments)[: num_segments // 2 * 2].reshape(-1, 2)
        pairs.append(found[:missing])
        missing -= len(pairs[-1])
    return np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int64)
