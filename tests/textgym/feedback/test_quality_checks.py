"""Gold questions and repeats among the others."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textgym.feedback import (
    Annotator,
    Comparison,
    FeedbackRecord,
    PromptText,
    Query,
    Ranking,
    Response,
    Score,
)
from textgym.feedback.answers import comparison_answer, score_answer, skip_answer
from textgym.feedback.broker import BrokerConfig, FeedbackBroker
from textgym.feedback.quality_checks import (
    REMEMBERED,
    Agreement,
    GoldQuestion,
    QualityChecks,
    answers_agree,
)
from textgym.feedback.store import FeedbackStore
from textgym.feedback.teachers import TeacherConfig, build_teacher

ANN, BOB = Annotator(id="ann", kind="human"), Annotator(id="bob", kind="human")
PROMPT = PromptText(text="Q:")


def response(text: str) -> Response:
    return Response(prompt=PROMPT, text=text)


def pair(name: str) -> Query:
    responses = (response(f"{name} good"), response(f"{name} bad"))
    return Query(kind="comparison", prompt=PROMPT, responses=responses, query_id=name)


def gold(name: str = "gold") -> GoldQuestion:
    query = pair(name)
    return GoldQuestion(query=query, answer=comparison_answer(query, ANN, 0))


def checks_of(seed: int = 0, **options: object) -> QualityChecks:
    return QualityChecks(np.random.default_rng(seed), **options)  # type: ignore[arg-type]


def batch(start: int, size: int) -> list[Query]:
    return [pair(str(index)) for index in range(start, start + size)]


def left(query: Query) -> int:
    return query.shown_order[0]


def test_the_rates_are_held_and_nothing_is_lost() -> None:
    checks = checks_of(gold=[gold()], gold_rate=0.1, repeat_rate=0.05)
    num_gold = num_repeats = 0
    for round_index in range(50):
        asked = batch(30 * round_index, 30)
        mixed = checks.mix(asked)
        others = [query for query in mixed if not checks.is_check(query.query_id)]
        assert others == asked
        extra = [query for query in mixed if checks.is_check(query.query_id)]
        num_gold += sum("gold" in query.responses[0].text for query in extra)
        num_repeats += sum("gold" not in query.responses[0].text for query in extra)
        checks.observe([comparison_answer(query, ANN, 0) for query in mixed])
    # 3 gold questions in each of 50 rounds, exactly; 1.5 repeats in each of the later 49.
    assert num_gold == 150
    assert abs(num_repeats - 73.5) < 5 * 0.5 * math.sqrt(49)


def test_gold_and_repeats_are_hidden_and_shuffled() -> None:
    checks = checks_of(gold=[gold()], gold_rate=1.0)
    mixed = checks.mix(batch(0, 100))
    golds = [query for query in mixed if checks.is_check(query.query_id)]
    assert len({query.query_id for query in mixed}) == 200
    assert "gold" not in {query.query_id for query in golds}
    assert not any(query.details for query in golds)
    assert 20 < sum(left(query) for query in golds) < 80
    places = [mixed.index(query) for query in golds]
    assert 60 < np.mean(places) < 140 and places != sorted(set(range(100)))


def test_agreement_with_gold_is_counted_per_annotator() -> None:
    checks = checks_of(gold=[gold()], gold_rate=0.5)
    mixed = checks.mix(batch(0, 40))
    golds = [query for query in mixed if checks.is_check(query.query_id)]
    assert len(golds) == 20
    answers: list[FeedbackRecord] = [comparison_answer(q, ANN, 0) for q in mixed]
    answers += [comparison_answer(q, BOB, 0 if i < 5 else 1) for i, q in enumerate(golds)]
    kept = checks.observe(answers)
    assert len(kept) == 40 and not any(checks.is_check(record.query_id) for record in kept)
    assert checks.gold_agreement("ann") == Agreement(agreed=20, compared=20)
    assert checks.gold_agreement("bob") == Agreement(agreed=5, compared=20)
    assert checks.gold_agreement() == Agreement(agreed=25, compared=40)
    assert checks.self_agreement() == Agreement(agreed=0, compared=0)


def test_who_always_takes_the_left_disagrees_with_himself() -> None:
    checks = checks_of(repeat_rate=1.0)
    first = batch(0, 20)
    assert checks.mix(first) == first
    checks.observe([comparison_answer(query, ANN, left(query)) for query in first])
    checks.observe([comparison_answer(query, BOB, 0) for query in first])
    mixed = checks.mix(batch(20, 20))
    assert len(mixed) == 40
    checks.observe([comparison_answer(query, ANN, left(query)) for query in mixed])
    checks.observe([comparison_answer(query, BOB, 0) for query in mixed])
    assert checks.self_agreement("ann") == Agreement(agreed=0, compared=20)
    assert checks.self_agreement("bob") == Agreement(agreed=20, compared=20)
    assert checks.self_agreement().rate == 0.5


def test_a_question_is_repeated_once_and_only_if_answered() -> None:
    checks = checks_of(repeat_rate=1.0)
    first = batch(0, 4)
    checks.mix(first)
    assert len(checks.mix(batch(4, 4))) == 4  # nothing is answered yet
    checks.observe([comparison_answer(first[0], ANN, 0), skip_answer(first[1], ANN)])
    assert len(checks.mix(batch(8, 4))) == 5
    assert len(checks.mix(batch(12, 4))) == 4


def test_what_is_remembered_is_bounded() -> None:
    checks = checks_of(repeat_rate=0.001)
    for start in range(0, 3000, 500):
        mixed = checks.mix(batch(start, 500))
        checks.observe([comparison_answer(query, ANN, 0) for query in mixed])
    state = checks.state_dict()
    assert len(state["past"]) == REMEMBERED
    assert len(state["answers"]) < 2 * REMEMBERED


def test_state_is_saved_and_restored() -> None:
    options = {"gold": [gold()], "gold_rate": 0.3, "repeat_rate": 0.3}
    whole, again = checks_of(0, **options), checks_of(9, **options)

    def play(checks: QualityChecks, start: int) -> list[Query]:
        mixed = checks.mix(batch(start, 10))
        checks.observe([comparison_answer(query, ANN, left(query)) for query in mixed])
        return mixed

    play(whole, 0), play(whole, 10)
    again.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert [play(whole, s) for s in (20, 30)] == [play(again, s) for s in (20, 30)]
    assert whole.self_agreement() == again.self_agreement()
    assert whole.gold_agreement() == again.gold_agreement()


def test_scores_agree_within_the_tolerance() -> None:
    query = Query(kind="score", prompt=PROMPT, responses=(response("a"),))
    one, near, far = (score_answer(query, ANN, value) for value in (0.5, 0.6, 0.61))
    assert answers_agree(one, near) and not answers_agree(one, far)
    assert answers_agree(one, far, tolerance=0.2)


def test_comparisons_and_rankings_agree_by_what_they_say() -> None:
    a, b, c = map(response, "abc")
    said = Comparison(annotator=ANN, chosen=a, rejected=b)
    tie = Comparison(annotator=ANN, chosen=b, rejected=a, is_tie=True)
    assert answers_agree(said, Comparison(annotator=BOB, chosen=a, rejected=b, strength=0.3))
    assert not answers_agree(said, Comparison(annotator=BOB, chosen=b, rejected=a))
    assert not answers_agree(said, tie)
    assert answers_agree(tie, Comparison(annotator=BOB, chosen=a, rejected=b, is_tie=True))
    one = Ranking(annotator=ANN, ranked=(a, b, c), ranks=(1, 2, 2))
    assert answers_agree(one, Ranking(annotator=BOB, ranked=(c, a, b), ranks=(5, 2, 5)))
    assert not answers_agree(one, Ranking(annotator=BOB, ranked=(c, a, b), ranks=(2, 1, 3)))
    with pytest.raises(ValueError, match="got 'comparison' and 'score'"):
        answers_agree(said, Score(annotator=ANN, response=a, value=0.5))


def test_agreement_has_an_interval() -> None:
    low, high = Agreement(agreed=8, compared=10).interval()
    # Wilson by hand: centre (0.8 + 0.19207) / 1.38415, half-width from 0.016 + 0.009604.
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Agreement(agreed=0, compared=0).interval() == (0.0, 1.0)
    assert math.isnan(Agreement(agreed=0, compared=0).rate)


def test_checks_among_a_brokers_questions_find_a_teachers_mistakes(tmp_path: Path) -> None:
    """A fifth of all answers is turned around: it agrees with gold .8, with itself .64 + .04."""
    better, worse = (
        Response(prompt=PROMPT, text=text, gold_score=gold_score)
        for text, gold_score in (("good", 1.0), ("bad", 0.0))
    )
    known = Query(kind="comparison", prompt=PROMPT, responses=(better, worse), query_id="known")
    checks = checks_of(
        gold=[GoldQuestion(query=known, answer=comparison_answer(known, ANN, 0))],
        gold_rate=0.5,
        repeat_rate=0.5,
    )
    teacher = build_teacher(TeacherConfig(eps_mistake=0.2))
    learned_from: list[str | None] = []
    with FeedbackStore(tmp_path / "f.db") as store:
        broker = FeedbackBroker(teacher, store, BrokerConfig(budget=3000))
        for start in range(0, 1000, 100):
            names = [str(index) for index in range(start, start + 100)]
            broker.submit(checks.mix([replace(known, query_id=name) for name in names]))
            records = checks.observe(broker.poll().records)
            learned_from += [record.query_id for record in records]
            broker.next_round()
    assert learned_from == [str(index) for index in range(1000)]
    with_gold, with_itself = checks.gold_agreement(), checks.self_agreement()
    assert with_gold.compared == 500 and with_itself.compared == 450
    assert abs(with_gold.rate - 0.8) < 4 * math.sqrt(0.8 * 0.2 / 500)
    assert abs(with_itself.rate - 0.68) < 4 * math.sqrt(0.68 * 0.32 / 450)
    assert broker.budget.spent == 1950.0  # checks cost what questions cost


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gold_rate": 0.1}, "needs gold questions, got none"),
        ({"repeat_rate": 1.5}, r"repeat_rate must be a number in \[0, 1\], got 1.5"),
        ({"tolerance": -1}, "tolerance"),
    ],
)
def test_bad_rates(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checks_of(**options)


def test_bad_gold_questions() -> None:
    question = gold()
    other = pair("other")
    with pytest.raises(ValueError, match="about the query's responses"):
        GoldQuestion(query=question.query, answer=comparison_answer(other, ANN, 0))
    with pytest.raises(ValueError, match="must be of a kind in"):
        GoldQuestion(query=question.query, answer=skip_answer(question.query, ANN))
