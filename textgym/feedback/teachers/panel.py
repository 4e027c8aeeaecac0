"""Several simulated people behind one `Teacher`, and `build_teacher`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.feedback.queries import Query
from textgym.feedback.records import FeedbackRecord
from textgym.feedback.responses import Annotator
from textgym.feedback.teachers.config import TeacherConfig
from textgym.feedback.teachers.gold_teacher import GoldTeacher
from textgym.feedback.teachers.judges import Judge


class Panel:
    """People who are asked in turn; records name the person who answered.

    Attributes:
        annotator: The panel as a whole; no record is by it.
        people: The teachers.
    """

    def __init__(self, config: TeacherConfig, judge: Judge | None = None) -> None:
        """Make `config.annotators` people, each with draws and biases of their own."""
        self.annotator = Annotator(id=config.annotator_id, kind="simulated")
        self.people = [GoldTeacher(config, judge, person=i) for i in range(config.annotators)]
        self._answers_per_query = config.answers_per_query
        self._next = 0

    def answer(self, queries: Sequence[Query], *, round_index: int) -> list[FeedbackRecord]:
        """Hand each query to the next person (or people), and return what is due by now."""
        shares: list[list[Query]] = [[] for _ in self.people]
        for query in queries:
            for _ in range(self._answers_per_query):
                shares[self._next].append(query)
                self._next = (self._next + 1) % len(self.people)
        return [
            record
            for person, share in zip(self.people, shares, strict=True)
            for record in person.answer(share, round_index=round_index)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return whose turn it is and everybody's state; JSON values."""
        return {"next": self._next, "people": [person.state_dict() for person in self.people]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Raises:
            ValueError: The state of another number of people.
        """
        if len(state["people"]) != len(self.people):
            raise ValueError(
                f"expected the state of {len(self.people)} people, got {len(state['people'])}"
            )
        self._next = int(state["next"])
        for person, of_person in zip(self.people, state["people"], strict=True):
            person.load_state_dict(of_person)


def build_teacher(config: TeacherConfig, judge: Judge | None = None) -> GoldTeacher | Panel:
    """Return the simulated teacher that a config describes, one person or several.

    Args:
        config: The knobs; `TeacherConfig.parse("beta=2,delay=3")` reads them from text.
        judge: Knows the gold of a response; by default the `gold_score` that responses carry, or
            the sum of a segment's true rewards.
    """
    return GoldTeacher(config, judge) if config.annotators == 1 else Panel(config, judge)
