"""`GoldTeacher`: answers every kind of question by the gold, through its behaviours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from textgym.feedback.answers import (
    comparison_answer,
    correction_answer,
    demonstration_answer,
    language_answer,
    ranking_answer,
    score_answer,
    skip_answer,
)
from textgym.feedback.queries import Query
from textgym.feedback.records import FeedbackRecord
from textgym.feedback.responses import Annotator, Response
from textgym.feedback.teachers.biases import Biases
from textgym.feedback.teachers.choice import Choice
from textgym.feedback.teachers.config import TeacherConfig
from textgym.feedback.teachers.judges import Judge, RecordedGold
from textgym.feedback.teachers.perception import Perception
from textgym.feedback.teachers.randomness import generator_for
from textgym.feedback.teachers.rubric import Rubric
from textgym.feedback.teachers.scale import ScoreScale
from textgym.feedback.teachers.skipping import Skipping
from textgym.feedback.teachers.timing import Timing

NO_DEMONSTRATION = "knows no good response to show"


class Part(Protocol):
    """A behaviour that can be saved."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that it needs to go on alike; JSON values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        ...


class GoldTeacher:
    """One simulated person. With all knobs of the config off: the gold order, exactly.

    A question goes through the behaviours in this order: is anybody there (`Timing`), what is
    seen and how good is it (`Perception`), is that worth an answer (`Skipping`), what is liked for
    the wrong reasons (`Biases`), the answer itself (`Choice` for an order, `ScoreScale` for a
    number, `Rubric` for words), and when it comes (`Timing`). Rounds are those of the queries,
    which the broker writes into them.

    Attributes:
        annotator: Who it says it is, of kind "simulated".
        config: What it is like.
        biases: Its likings, with their weights now.
        timing: What it owes, and when it leaves.
    """

    def __init__(
        self, config: TeacherConfig, judge: Judge | None = None, *, person: int = 0
    ) -> None:
        """Make a person.

        Args:
            config: The knobs; those about several people are for `build_teacher`.
            judge: Knows the gold; by default `RecordedGold`, what the responses carry.
            person: Which of several people; each draws by itself.
        """
        self.config = config
        is_alone = config.annotators == 1
        name = config.annotator_id if is_alone else f"{config.annotator_id}-{person}"
        self.annotator = Annotator(id=name, kind="simulated")
        self.biases = Biases(config, person)
        self.timing = Timing(config, person)
        self._judge = judge or RecordedGold()
        self._perception = Perception(config, self._judge)
        self._skipping = Skipping(config, person)
        self._choice = Choice(config, person)
        self._scale = ScoreScale(config, person)
        self._rubric = Rubric(
            generator_for(config.seed, person, "phrasings"),
            phrasings=config.phrasings,
            max_findings=config.max_findings,
        )

    def answer(self, queries: Sequence[Query], *, round_index: int) -> list[FeedbackRecord]:
        """Take queries in and return the answers that are due by this round.

        Raises:
            ValueError: The gold of what is asked about is not known.
        """
        for query in queries:
            if not self.timing.has_left(query.round_index):
                self.timing.keep(query, self._answer(query))
        return self.timing.due(round_index)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every behaviour; JSON values."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Raises:
            ValueError: The state is none of a teacher's.
        """
        parts = self._parts()
        if set(state) != set(parts):
            raise ValueError(f"a teacher's state has {sorted(parts)}, got {sorted(state)}")
        for name, part in parts.items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Part]:
        return {
            "biases": self.biases,
            "timing": self.timing,
            "skipping": self._skipping,
            "choice": self._choice,
            "scale": self._scale,
            "rubric": self._rubric,
        }

    def _answer(self, query: Query) -> FeedbackRecord:
        seen = self._perception.seen(query)
        utilities = self._perception.utilities(seen)
        reason = self._skipping.reason(utilities)
        if reason:
            return skip_answer(query, self.annotator, reason)
        if query.kind in ("demonstration", "correction"):
            return self._shown(query)
        liked = utilities + self.biases.shifts(query, seen)
        if query.kind == "comparison":
            return comparison_answer(query, self.annotator, self._choice.better(liked))
        if query.kind == "ranking":
            return ranking_answer(query, self.annotator, self._choice.ranks(liked))
        return self._judged(query, seen[0], liked)

    def _judged(self, query: Query, seen: Response, liked: np.ndarray) -> FeedbackRecord:
        """A score, or words of the same value."""
        value = self._scale.score(float(liked[0]), query.round_index)
        if query.kind == "score":
            return score_answer(query, self.annotator, value)
        critique = self._rubric.critique(value, self._judge.findings(seen))
        return language_answer(query, self.annotator, critique.words, details=critique.details())

    def _shown(self, query: Query) -> FeedbackRecord:
        """A good response, where the judge knows one."""
        shown = None
        if query.action_index is None:
            shown = self._judge.demonstration(query.prompt)
        if shown is None:
            return skip_answer(query, self.annotator, NO_DEMONSTRATION)
        if query.kind == "demonstration":
            return demonstration_answer(query, self.annotator, shown)
        return correction_answer(query, self.annotator, better=shown)
