"""What a broker keeps: saved states, repeated runs, recovered answers, a store that is locked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.textgym.feedback.scripted_teacher import (
    ANN,
    ScriptedTeacher,
    ask_for,
    broker_of,
    late_teacher,
    names,
    names_of,
    stored,
)
from textgym.feedback.answers import score_answer
from textgym.feedback.broker import BrokerConfig, FeedbackBroker, Received
from textgym.feedback.store import FeedbackStore
from textgym.feedback.store_engine import StoreError


@pytest.fixture
def store(tmp_path: Path):
    with FeedbackStore(tmp_path / "feedback.db") as opened:
        yield opened


def test_state_is_saved_and_restored(store: FeedbackStore) -> None:
    def run(broker: FeedbackBroker, teacher: ScriptedTeacher, rounds: range) -> list[Received]:
        received = []
        for index in rounds:
            if index:
                broker.next_round()
            broker.submit([ask_for(f"{index}-{i}") for i in range(3)])
            # Two rounds late, one of the three never.
            old = [q for q in teacher.seen if q.round_index == index - 2]
            teacher.ready = [score_answer(q, ANN, 0.5) for q in old[:2]]
            received.append(broker.poll())
        return received

    config = {"answer_within": 3, "budget": 14.0}
    whole_teacher = late_teacher()
    whole = broker_of(whole_teacher, store, **config)
    run(whole, whole_teacher, range(4))
    whole.submit([ask_for("waiting")])
    state = json.loads(json.dumps(whole.state_dict()))
    expected = run(whole, whole_teacher, range(4, 8))

    teacher = late_teacher()
    again = broker_of(teacher, store, **config)
    again.load_state_dict(state)
    assert (again.round_index, again.num_open) == (3, 9)
    # The store holds what the first life did after the state was saved; it takes it once.
    size = len(stored(store))
    assert run(again, teacher, range(4, 8)) == expected
    assert len(stored(store)) == size
    assert "waiting" in names_of(teacher.seen)
    assert again.counts == whole.counts and again.budget.spent == whole.budget.spent
    assert again.state_dict() == whole.state_dict()
    with pytest.raises(ValueError, match="query '0-0' was asked before"):
        again.submit([ask_for("0-0")])


def test_a_resumed_run_repeats_itself_and_the_store_takes_it_once(tmp_path: Path) -> None:
    """Killed after storing, before saving: the same answers come again, with the same ids."""
    with FeedbackStore(tmp_path / "f.db") as store:
        teacher = late_teacher()
        broker = broker_of(teacher, store, budget=5.0)
        broker.submit([ask_for("a")])
        broker.poll()
        state = json.loads(json.dumps(broker.state_dict()))
        teacher.ready = [score_answer(teacher.seen[0], ANN, 0.5)]
        first = broker.poll()

        teacher = late_teacher()
        later = FeedbackBroker(teacher, store, BrokerConfig(budget=5.0), clock=lambda: 999.0)
        later.load_state_dict(state)
        teacher.ready = [score_answer(teacher.seen[0], ANN, 0.5)]
        second = later.poll()
        assert second == first  # its clock too: what was stored first holds
        assert len(stored(store)) == 1 and later.budget.spent == 1.0 and later.num_open == 0


def test_peoples_answers_are_recovered_from_the_store(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store)
    broker.submit([ask_for("a"), ask_for("b")])
    broker.poll()
    cursor, state = store.read().cursor, broker.state_dict()
    teacher.ready = [score_answer(teacher.seen[1], ANN, 0.5)]
    broker.poll()

    again = broker_of(late_teacher(), store)
    again.load_state_dict(state)
    assert names(again.recover(cursor).records) == ["b"]
    assert again.num_open == 1 and again.budget.spent == 1.0
    assert again.recover(cursor) == Received()


def test_answers_survive_a_store_that_is_locked(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = broker_of(ScriptedTeacher(), store)
    broker.submit([ask_for("a")])

    def locked(records: object) -> None:
        raise StoreError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(store, "append", locked)
        with pytest.raises(StoreError):
            broker.poll()
    assert broker.num_open == 1 and broker.budget.spent == 0
    state = json.loads(json.dumps(broker.state_dict()))
    assert names(broker.poll().records) == ["a"]
    again = broker_of(ScriptedTeacher(), store)
    again.load_state_dict(state)
    assert names(again.poll().records) == ["a"]


def test_a_state_of_another_store_or_version_is_refused(
    store: FeedbackStore, tmp_path: Path
) -> None:
    state = broker_of(ScriptedTeacher(), store).state_dict()
    with FeedbackStore(tmp_path / "other.db") as other:
        broker = broker_of(ScriptedTeacher(), other)
        with pytest.raises(ValueError, match="was saved with the store"):
            broker.load_state_dict(state)
        with pytest.raises(ValueError, match="of version 1, got 2"):
            broker.load_state_dict({**state, "version": 2})
