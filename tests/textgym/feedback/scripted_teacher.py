"""A teacher that a test answers for, and what is asked of it through a broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.feedback import (
    Annotator,
    FeedbackRecord,
    PromptText,
    Query,
    Response,
    Teacher,
)
from textgym.feedback.answers import score_answer
from textgym.feedback.broker import BrokerConfig, FeedbackBroker
from textgym.feedback.prices import Prices
from textgym.feedback.record_json import query_from_json, query_to_json
from textgym.feedback.store import FeedbackStore

ANN, BOB = Annotator(id="ann", kind="simulated"), Annotator(id="bob", kind="simulated")
PROMPT = PromptText(text="Q:")


class ScriptedTeacher:
    """Scores every query 0.5 at once if `is_prompt`; returns what a test puts into `ready`."""

    def __init__(self) -> None:  # noqa: D107
        self.annotator = ANN
        self.seen: list[Query] = []
        self.ready: list[FeedbackRecord] = []
        self.is_prompt = True

    def answer(self, queries: Sequence[Query], *, round_index: int) -> list[FeedbackRecord]:
        self.seen += queries
        if self.is_prompt:
            self.ready += [score_answer(q, ANN, 0.5) for q in queries]
        ready, self.ready = self.ready, []
        return ready

    def state_dict(self) -> dict[str, Any]:
        return {"seen": [query_to_json(query) for query in self.seen]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen = [query_from_json(data) for data in state["seen"]]


def late_teacher() -> ScriptedTeacher:
    teacher = ScriptedTeacher()
    teacher.is_prompt = False
    return teacher


def ask_for(name: str) -> Query:
    response = Response(prompt=PROMPT, text=name, token_ids=(1, 2))
    return Query(kind="score", prompt=PROMPT, responses=(response,), query_id=name)


def broker_of(
    teacher: Teacher, store: FeedbackStore, prices: Prices | None = None, **config: Any
) -> FeedbackBroker:
    return FeedbackBroker(
        teacher, store, BrokerConfig(**config), prices=prices, clock=lambda: 100.0
    )


def names(records: Sequence[FeedbackRecord]) -> list[str | None]:
    return [record.query_id for record in records]


def names_of(queries: Sequence[Query]) -> list[str]:
    return [query.query_id for query in queries]


def stored(store: FeedbackStore) -> list[FeedbackRecord]:
    return [item.record for item in store.iterate()]
