"""Asking apart from receiving: late, out of order, twice, never, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.textgym.feedback.scripted_teacher import (
    ANN,
    BOB,
    PROMPT,
    ScriptedTeacher,
    ask_for,
    broker_of,
    late_teacher,
    names,
    names_of,
    stored,
)
from textgym.feedback import Query, Score, revised
from textgym.feedback.answers import comparison_answer, score_answer, skip_answer
from textgym.feedback.broker import BrokerConfig, Received
from textgym.feedback.open_queries import (
    ANSWERED_TWICE,
    DIFFERENT_QUESTION,
    ERASED,
    NEVER_ASKED,
)
from textgym.feedback.prices import Prices
from textgym.feedback.store import FeedbackStore


@pytest.fixture
def store(tmp_path: Path):
    with FeedbackStore(tmp_path / "feedback.db") as opened:
        yield opened


def test_a_prompt_teacher_answers_at_the_next_poll(store: FeedbackStore) -> None:
    teacher = ScriptedTeacher()
    broker = broker_of(teacher, store)
    submission = broker.submit([ask_for("a"), ask_for("b")])
    assert names_of(submission.asked) == ["a", "b"] and not teacher.seen
    assert stored(store) == [] and broker.num_open == 2
    received = broker.poll()
    assert names(received.records) == ["a", "b"] and broker.num_open == 0
    assert stored(store) == list(received.records)
    record = received.records[0]
    assert (record.asked_at, record.answered_at, record.round_index) == (100.0, 100.0, 0)
    assert broker.poll() == Received()
    assert len(teacher.seen) == 2


def test_answers_come_late_out_of_order_or_never(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store)
    broker.submit([ask_for("a"), ask_for("b"), ask_for("never")])
    assert broker.poll() == Received()
    broker.next_round()
    broker.submit([ask_for("c")])
    broker.poll()
    by_name = {query.query_id: query for query in teacher.seen}
    teacher.ready = [score_answer(by_name[n], ANN, 0.5) for n in ("c", "a")]
    broker.next_round()
    received = broker.poll()
    assert names(received.records) == ["c", "a"]
    assert [r.round_index for r in received.records] == [1, 0]
    assert [r.details["received_round"] for r in received.records] == [2, 2]
    teacher.ready = [score_answer(by_name["b"], ANN, 0.5)]
    assert names(broker.poll().records) == ["b"]
    assert broker.num_open == 1


def test_an_answer_after_its_round_is_late_but_kept(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store, answer_within=1, budget=1.0)
    broker.submit([ask_for("a")])
    broker.poll()
    broker.next_round()
    assert broker.poll().expired == () and broker.num_open == 1
    broker.next_round()
    received = broker.poll()
    assert names_of(received.expired) == ["a"] and broker.num_open == 0
    assert broker.budget.left == 1.0  # free for another question
    broker.submit([ask_for("b")])
    teacher.ready = [score_answer(query, ANN, 0.5) for query in teacher.seen]
    received = broker.poll()
    assert (names(received.records), names(received.late)) == ([], ["a"])
    assert names(stored(store)) == ["a"]  # the work was done: it is kept, and paid for
    assert (broker.budget.spent, broker.budget.left) == (1.0, 0.0)
    assert (broker.counts["expired"], broker.counts["late"]) == (1, 1)
    teacher.ready = [score_answer(query, BOB, 0.5) for query in teacher.seen[:1]]
    assert [r.reason for r in broker.poll().rejected] == [ANSWERED_TWICE]


def test_what_nobody_will_answer_is_given_up(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store, budget=3.0)
    broker.submit([ask_for("a")])
    broker.poll()
    broker.next_round()
    broker.submit([ask_for("b")])
    broker.poll()
    broker.next_round()
    broker.submit([ask_for("not yet handed over")])
    assert (broker.num_open, broker.budget.left) == (3, 0.0)
    assert names_of(broker.give_up(2)) == ["a", "b"]
    assert (broker.num_open, broker.budget.left, broker.counts["expired"]) == (1, 2.0, 2)
    teacher.ready = [score_answer(query, ANN, 0.5) for query in teacher.seen]
    assert [r.reason for r in broker.poll().rejected] == [NEVER_ASKED, NEVER_ASKED]
    assert broker.budget.spent == 0 and stored(store) == []
    assert names_of(broker.give_up(3)) == ["not yet handed over"]


def test_of_the_answered_and_the_expired_the_newest_are_remembered(store: FeedbackStore) -> None:
    teacher = ScriptedTeacher()
    broker = broker_of(teacher, store, remembered=2, answer_within=0)
    broker.ask([ask_for(name) for name in ("a", "b", "c")])
    for name, reason in (("a", NEVER_ASKED), ("c", ANSWERED_TWICE)):
        teacher.ready = [score_answer(ask_for(name), BOB, 0.5)]
        assert [r.reason for r in broker.poll().rejected] == [reason], name
    teacher.is_prompt = False
    for name in ("d", "e", "f"):
        broker.ask([ask_for(name)])
        broker.next_round()
    assert names_of(broker.poll().expired) == ["f"]
    for name in ("d", "f"):
        teacher.ready += [score_answer(ask_for(name), ANN, 0.5)]
    received = broker.poll()
    assert [r.reason for r in received.rejected] == [NEVER_ASKED] and names(received.late) == ["f"]
    state = json.loads(json.dumps(broker.state_dict()))["queries"]
    assert state["closed"] == ["c", "f"]
    assert [item["query"]["query_id"] for item in state["open"]] == ["e"]
    again = broker_of(late_teacher(), store, remembered=2, answer_within=0)
    again.load_state_dict({**broker.state_dict(), "teacher": {"seen": []}})
    assert (again.num_open, broker.num_open) == (0, 0) and again.budget.left == broker.budget.left


def test_feedback_for_a_query_never_asked_is_rejected(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store)
    teacher.ready = [
        score_answer(ask_for("x"), ANN, 0.5),
        Score(annotator=ANN, response=ask_for("x").responses[0], value=1.0),
    ]
    received = broker.poll()
    assert [item.reason for item in received.rejected] == [NEVER_ASKED, NEVER_ASKED]
    assert stored(store) == [] and broker.budget.spent == 0
    assert broker.counts[NEVER_ASKED] == 2
    with pytest.raises(ValueError, match="for query 'x' was rejected: never asked .*in all: 2"):
        received.raise_rejected()
    Received().raise_rejected()


def test_a_second_answer_is_rejected_and_a_repeated_one_ignored(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store)
    broker.submit([ask_for("a"), ask_for("b")])
    broker.poll()
    first, second = teacher.seen
    other = Score(
        annotator=ANN, response=second.responses[0], value=0.9, record_id="z", query_id="b"
    )
    teacher.ready = [score_answer(first, ANN, 0.5)] * 2 + [score_answer(second, ANN, 0.5), other]
    received = broker.poll()
    assert names(received.records) == ["a", "b"]
    assert [(item.record.record_id, item.reason) for item in received.rejected] == [
        ("z", ANSWERED_TWICE)
    ]
    teacher.ready = [score_answer(first, ANN, 0.7), score_answer(first, BOB, 0.7), other]
    received = broker.poll()
    assert received.records == () and broker.counts["repeated"] == 2
    assert [item.reason for item in received.rejected] == [ANSWERED_TWICE, ANSWERED_TWICE]
    assert [record.value for record in stored(store)] == [0.5, 0.5]  # type: ignore[attr-defined]
    assert broker.budget.spent == 2.0


def test_an_answer_to_a_different_question_is_rejected(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store)
    broker.submit([ask_for("a")])
    broker.poll()
    other = Query(kind="score", prompt=PROMPT, responses=ask_for("b").responses, query_id="a")
    pair = Query(kind="comparison", prompt=PROMPT, responses=other.responses * 2, query_id="a")
    teacher.ready = [score_answer(other, ANN, 0.5), comparison_answer(pair, BOB, 0)]
    reasons = [item.reason for item in broker.poll().rejected]
    assert reasons == [DIFFERENT_QUESTION, DIFFERENT_QUESTION] and broker.num_open == 1


def test_an_annotator_may_correct_an_earlier_answer_for_nothing(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store)
    broker.submit([ask_for("a")])
    broker.poll()
    first = score_answer(teacher.seen[0], ANN, 0.2, answered_at=101.0)
    teacher.ready = [first]
    broker.poll()
    better = revised(first, value=0.9)
    strangers = revised(first, value=0.1, annotator=BOB)
    teacher.ready = [better, strangers]
    received = broker.poll()
    assert [record.record_id for record in received.records] == [better.record_id]
    assert [item.reason for item in received.rejected] == [ANSWERED_TWICE]
    assert [item.record.record_id for item in store.current()] == [better.record_id]
    assert broker.budget.spent == 1.0 and broker.counts["corrected"] == 1


def test_a_skip_costs_its_share(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store, Prices(score=2.0, skip_share=0.25), budget=2.0)
    broker.submit([ask_for("a")])
    broker.poll()
    teacher.ready = [skip_answer(teacher.seen[0], ANN, "unclear")]
    received = broker.poll()
    assert names(received.skipped) == ["a"] and received.records == ()
    assert (broker.budget.spent, broker.budget.left) == (0.5, 1.5)
    assert names(stored(store)) == ["a"] and broker.num_open == 0


def test_the_budget_bounds_what_is_asked(store: FeedbackStore) -> None:
    teacher = ScriptedTeacher()
    prices = Prices(score=1.0, comparison=3.0)
    broker = broker_of(teacher, store, prices, budget=2.5)
    responses = ask_for("x").responses * 2
    dear = Query(kind="comparison", prompt=PROMPT, responses=responses, query_id="dear")
    submission = broker.submit([ask_for("a"), dear, ask_for("b"), ask_for("c")])
    assert names_of(submission.asked) == ["a", "b"]
    assert names_of(submission.unaffordable) == ["dear", "c"]
    broker.poll()
    assert (broker.budget.spent, broker.budget.left) == (2.0, 0.5)
    # What was not asked may be asked again.
    assert names_of(broker.submit([ask_for("c")]).unaffordable) == ["c"]
    assert broker.counts["unaffordable"] == 3
    with pytest.raises(ValueError, match="budget 0.5 cannot buy one label"):
        broker_of(teacher, store, budget=0.5)


def test_several_annotators_answer_one_question(store: FeedbackStore) -> None:
    teacher = late_teacher()
    broker = broker_of(teacher, store, answers_per_query=2, budget=3.0)
    submission = broker.submit([ask_for("a"), ask_for("b")])
    assert names_of(submission.unaffordable) == ["b"]  # two answers each
    broker.poll()
    query = teacher.seen[0]
    again = Score(annotator=ANN, response=query.responses[0], value=0.1, query_id="a")
    teacher.ready = [score_answer(query, ANN, 0.5), again]
    received = broker.poll()
    assert len(received.records) == 1 and broker.num_open == 1
    assert [item.reason for item in received.rejected] == [ANSWERED_TWICE]
    assert (broker.budget.spent, broker.budget.reserved) == (1.0, 1.0)
    teacher.ready = [score_answer(query, BOB, 0.7)]
    assert len(broker.poll().records) == 1 and broker.num_open == 0
    assert (broker.budget.spent, broker.budget.reserved) == (2.0, 0.0)


def test_a_query_is_asked_once(store: FeedbackStore) -> None:
    broker = broker_of(ScriptedTeacher(), store)
    with pytest.raises(ValueError, match="query 'a' was asked before"):
        broker.submit([ask_for("a"), ask_for("a")])
    assert broker.num_open == 0
    broker.submit([ask_for("a")])
    with pytest.raises(ValueError, match="query 'a' was asked before"):
        broker.submit([ask_for("b"), ask_for("a")])
    broker.poll()
    with pytest.raises(ValueError, match="query 'a' was asked before"):
        broker.submit([ask_for("a")])


def test_what_was_erased_stays_erased(store: FeedbackStore) -> None:
    teacher = ScriptedTeacher()
    broker = broker_of(teacher, store)
    broker.ask([ask_for("a")])
    store.erase(annotator_id=ANN.id)
    teacher.ready = [score_answer(teacher.seen[0], ANN, 0.5)]
    assert [item.reason for item in broker.poll().rejected] == [ERASED]
    assert stored(store) == []


@pytest.mark.parametrize("config", [{"answer_within": -1}, {"answers_per_query": 0}])
def test_bad_configurations(config: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(config))):
        BrokerConfig(**config)
