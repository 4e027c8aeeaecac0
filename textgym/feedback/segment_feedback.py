"""What the rows of an environment without text share: segments, questions, answers, the reward.

Shape letters: R rows (steps), O observation size, A action size, M members of an ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from textgym.feedback.checks import check_choice, check_integer
from textgym.feedback.queries import Query
from textgym.feedback.records import FeedbackRecord, new_id
from textgym.feedback.segments import (
    NO_PROMPT,
    RecordedSegment,
    SegmentPool,
    SegmentRecorder,
    draw_pairs,
)
from textgym.feedback.selection import select_by_disagreement, select_by_spread, select_random

FEEDBACK_KINDS = ("comparison", "score")
SELECTIONS = ("random", "disagreement", "spread")
_CANDIDATES = 10  # candidates for each question that is chosen by what the reward says


class RewardPredictor(Protocol):
    """A learned reward for the steps of an environment without text.

    Attributes:
        version: Which model it is, from 1; a new one has a higher number.
    """

    version: int

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return the reward of each step, (R,).

        Args:
            observations: (R, O) float32, flattened: what was seen before each action.
            actions: (R,) int64 of a `Discrete` space, else (R, A) float32, flattened.
        """
        ...


@runtime_checkable
class MemberPredictor(Protocol):
    """A predictor that knows what each member of an ensemble says."""

    def predict_members(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return each normalised member's reward of each step, (M, R); see `RewardPredictor`."""
        ...


class Answers(Protocol):
    """What a poll brought; `textgym.feedback.broker_results.Received` is one."""

    @property
    def records(self) -> Sequence[FeedbackRecord]:
        """Answers in time."""
        ...

    @property
    def late(self) -> Sequence[FeedbackRecord]:
        """Answers to questions that had expired."""
        ...


class Asked(Protocol):
    """What became of questions; `textgym.feedback.broker_results.Submission` is one."""

    @property
    def asked(self) -> Sequence[Query]:
        """Those that were asked."""
        ...


class AskingBroker(Protocol):
    """What is needed of a broker; `textgym.feedback.broker.FeedbackBroker` is one."""

    def submit(self, queries: Sequence[Query]) -> Asked:
        """Ask."""
        ...

    def poll(self) -> Answers:
        """Receive."""
        ...


@dataclass(frozen=True, kw_only=True)
class SegmentFeedbackConfig:
    """Which feedback is asked for, and about what.

    Attributes:
        feedback_kind: "comparison" of two segments, or "score" of one.
        segment_length: Steps of a segment, at least 1; with 1 the feedback is on single actions.
        selection: Which segments are asked about: "random"; "disagreement", where the members of
            the reward's ensemble disagree most; "spread", pairs whose rewards differ most.
            Before the first reward all are random.
        pool_size: Segments kept to ask about, the newest, at least 2.
        ask_every: Steps of all rows after which questions are asked by themselves; 0: only when
            `ask` is called.
        questions: How many are asked then, at least 1.
        feedback_seed: Seed of what is asked about.
    """

    feedback_kind: str = "comparison"
    segment_length: int = 50
    selection: str = "random"
    pool_size: int = 1000
    ask_every: int = 0
    questions: int = 10
    feedback_seed: int = 0

    def __post_init__(self) -> None:
        """Reject settings without a meaning."""
        check_choice("feedback_kind", self.feedback_kind, FEEDBACK_KINDS)
        check_choice("selection", self.selection, SELECTIONS)
        for name, least in (
            ("segment_length", 1),
            ("pool_size", 2),
            ("ask_every", 0),
            ("questions", 1),
            ("feedback_seed", 0),
        ):
            check_integer(name, getattr(self, name), least=least)
        if self.selection == "spread" and self.feedback_kind == "score":
            raise ValueError("selection 'spread' compares two segments, got feedback_kind 'score'")


class SegmentFeedback:
    """The one place where all rows record, ask and get their reward from.

    Attributes:
        config: Settings.
        broker: Who is asked; None until one is given: nothing can be asked then.
        predictor: The learned reward; None until the first is given: steps pay 0 then.
        pool: Segments recorded since the last questions.
        records: All answers so far, in the order in which they came.
        policy_fingerprint: Which policy acts now; goes into the responses.
    """

    def __init__(
        self,
        config: SegmentFeedbackConfig | None = None,
        *,
        broker: AskingBroker | None = None,
        predictor: RewardPredictor | None = None,
    ) -> None:
        """Start with nothing recorded."""
        self.config = config or SegmentFeedbackConfig()
        self.broker, self.predictor = broker, predictor
        self.pool = SegmentPool(self.config.pool_size)
        self.records: list[FeedbackRecord] = []
        self.policy_fingerprint = ""
        self._generator = np.random.default_rng([self.config.feedback_seed, 7])
        self._asked, self._run_id, self._steps = 0, new_id(), 0

    def __deepcopy__(self, memo: dict[int, Any]) -> SegmentFeedback:
        """Return itself: Gymnasium copies the arguments of an environment, and this is shared."""
        return self

    @property
    def is_ready(self) -> bool:
        """Whether there is a learned reward."""
        return self.predictor is not None

    @property
    def version(self) -> int:
        """The learned reward's version; 0 before the first."""
        return 0 if self.predictor is None else int(self.predictor.version)

    def recorder(self) -> SegmentRecorder:
        """Return a recorder for one row."""
        return SegmentRecorder(self.config.segment_length, self._take_in)

    def reward(self, observation: np.ndarray, action: np.ndarray | int) -> float:
        """Return what a step pays: 0 before the first reward model.

        Args:
            observation: (O,) float32, flattened: what was seen before the action.
            action: An integer, or (A,) float32.

        Raises:
            ValueError: The predictor's reward is not one finite number.
        """
        if self.predictor is None:
            return 0.0
        paid = np.asarray(self.predictor.predict(observation[None], np.asarray(action)[None]))
        if paid.shape != (1,) or not np.isfinite(paid[0]):
            raise ValueError(f"a predictor must return one finite reward per step, got {paid!r}")
        return float(paid[0])

    def after_step(self) -> None:
        """Count a step of any row, and ask where it is time to."""
        self._steps += 1
        if self.config.ask_every and self._steps % self.config.ask_every == 0:
            self.ask(self.config.questions)
            self.poll()

    def ask(self, count: int) -> int:
        """Ask up to `count` questions about what was recorded since the last ones.

        Returns:
            How many were asked: fewer where the budget ends or too little was recorded.

        Raises:
            ValueError: There is no broker.
        """
        submission = self._broker().submit(self._queries(count))
        self.pool.clear()
        return len(submission.asked)

    def poll(self) -> list[FeedbackRecord]:
        """Take in the answers that have come, and return them.

        Raises:
            ValueError: There is no broker.
        """
        received = self._broker().poll()
        records = [*received.records, *received.late]
        self.records += records
        return records

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed run needs but answers and recorded segments; JSON values."""
        return {
            "run_id": self._run_id,
            "asked": self._asked,
            "steps": self._steps,
            "generator": self._generator.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._run_id = str(state["run_id"])
        self._asked, self._steps = int(state["asked"]), int(state["steps"])
        self._generator.bit_generator.state = state["generator"]

    def _broker(self) -> AskingBroker:
        if self.broker is None:
            raise ValueError("expected a broker to ask, got None: set `feedback.broker` first")
        return self.broker

    def _take_in(self, segment: RecordedSegment) -> None:
        self.pool.add(segment)

    def _queries(self, count: int) -> list[Query]:
        if self.config.feedback_kind == "comparison":
            rows = draw_pairs(len(self.pool), self._num_candidates(count), self._generator)
        else:
            candidates = min(self._num_candidates(count), len(self.pool))
            rows = select_random(len(self.pool), candidates, self._generator)[:, None]
        chosen = rows[self._choose(rows, min(count, len(rows)))]
        return [self._query(self.pool.take(row)) for row in chosen]

    def _num_candidates(self, count: int) -> int:
        return count if self._rule() == "random" else count * _CANDIDATES

    def _rule(self) -> str:
        return self.config.selection if self.is_ready else "random"

    def _choose(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Indices of the most wanted of the candidates (C, k), rows of the pool."""
        if self._rule() == "random" or not count:
            return np.arange(count)
        predictor = self.predictor
        if self._rule() == "spread" and predictor is not None:
            sums = self._sums(lambda *steps: predictor.predict(*steps)[None])
            return select_by_spread(sums[0][rows], count, self._generator)
        if not isinstance(predictor, MemberPredictor):
            raise ValueError(
                f"selection 'disagreement' needs an ensemble, got {type(predictor).__name__}"
            )
        sums = self._sums(predictor.predict_members)[:, rows]
        if rows.shape[1] == 1:
            sums = sums[:, :, 0]
        return select_by_disagreement(sums, count, self._generator)

    def _sums(self, predict: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """What each member makes of each segment of the pool: (M, S)."""
        segments = self.pool.all()
        rewards = predict(
            np.concatenate([segment.observations for segment in segments]),
            np.concatenate([segment.actions for segment in segments]),
        )
        starts = np.cumsum([0, *(len(segment.actions) for segment in segments[:-1])])
        return np.add.reduceat(rewards, starts, axis=1)

    def _query(self, segments: Sequence[RecordedSegment]) -> Query:
        self._asked += 1
        order = self._generator.permutation(len(segments)).tolist()
        return Query(
            kind=self.config.feedback_kind,
            prompt=NO_PROMPT,
            responses=tuple(segment.as_response(self.policy_fingerprint) for segment in segments),
            query_id=f"{self._run_id}-{self._asked}",
            shown_order=tuple(order),
        )
