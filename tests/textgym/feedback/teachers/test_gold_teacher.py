"""Simulated teachers: with all knobs off the gold order, and every knob does what it says.

Statistical tests are seeded; a share is held against its expectation by four standard deviations of
a binomial draw, and every knob is also held against the teacher without it.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.textgym.feedback.teachers.questions import (
    ask,
    assert_share,
    pair,
    query,
    response,
    values,
    winners,
)
from textgym.feedback import (
    FeedbackRecord,
    PromptText,
    Ranking,
    Response,
    Score,
    Segment,
    Skipped,
    Span,
)
from textgym.feedback.answers import answers_query
from textgym.feedback.teachers import Finding, TeacherConfig, build_teacher, calibrated, score_of


def test_with_all_knobs_off_the_gold_decides_exactly() -> None:
    rng = np.random.default_rng(0)
    golds = np.round(rng.normal(size=(300, 2)), 1)  # rounded: some are equal
    expected = [None if a == b else int(b > a) for a, b in golds]
    assert winners(TeacherConfig(), [pair(a, b) for a, b in golds]) == expected
    assert None in expected
    scored = values(TeacherConfig(), [query("score", response(g)) for g in golds[:, 0]])
    for i, j in itertools.combinations(range(100), 2):
        assert np.sign(scored[i] - scored[j]) == np.sign(golds[i, 0] - golds[j, 0])
    assert ((scored > 0) & (scored < 1)).all()
    for row in golds.reshape(-1, 6):
        (record,) = ask(TeacherConfig(), [query("ranking", *(response(g) for g in row))])
        assert isinstance(record, Ranking)
        assert list(record.ranks) == [1 + sum(other > g for other in row) for g in row]


def test_scores_are_a_fixed_map_of_gold_in_its_own_units() -> None:
    config = TeacherConfig(gold_mean=10.0, gold_std=4.0)
    found = values(config, [query("score", response(g)) for g in (10.0, 14.0, 2.0)])
    np.testing.assert_allclose(found, [0.5, 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(2))])
    assert calibrated(TeacherConfig(beta=2), [6.0, 14.0]) == TeacherConfig(
        beta=2, gold_mean=10.0, gold_std=4.0
    )
    assert score_of(0.0) == 0.5


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
def test_rationality_is_a_temperature_in_units_of_the_golds_deviation(beta: float) -> None:
    total = 3000
    config = TeacherConfig(beta=beta, gold_mean=50.0, gold_std=10.0)
    chosen = winners(config, [pair(45.0, 55.0) for _ in range(total)])
    assert_share(sum(w == 1 for w in chosen), total, 1 / (1 + math.exp(-beta)))
    assert None not in chosen


def test_rankings_follow_plackett_and_luce() -> None:
    total = 3000
    utilities = [0.0, 1.0, -0.5]
    asked = [query("ranking", *(response(u) for u in utilities)) for _ in range(total)]
    records = ask(TeacherConfig(beta=1.0), asked)
    weights = np.exp(utilities)
    first = weights[1] / weights.sum()
    then = weights[0] / (weights[0] + weights[2])
    hits = sum(record.ranks == (2, 1, 3) for record in records)
    assert_share(hits, total, first * then)


def test_mistakes_turn_answers_around() -> None:
    total = 3000
    config = TeacherConfig(eps_mistake=0.1)
    chosen = winners(config, [pair(0.0, 1.0) for _ in range(total)])
    assert_share(sum(w == 0 for w in chosen), total, 0.1)
    scored = values(config, [query("score", response(2.0)) for _ in range(total)])
    assert_share(int((scored < 0.5).sum()), total, 0.1)
    np.testing.assert_allclose(sorted(set(np.round(scored, 12))), [score_of(-2), score_of(2)])
    ranked = ask(config, [query("ranking", *map(response, (1.0, 2.0, 3.0))) for _ in range(total)])
    assert_share(sum(record.ranks == (1, 2, 3) for record in ranked), total, 0.1)


def test_ties_are_differences_below_the_threshold() -> None:
    config = TeacherConfig(eps_equal=0.5, gold_std=2.0)
    asked = [pair(0.0, 0.98), pair(0.98, 0.0), pair(0.0, 1.02), pair(1.02, 0.0)]
    assert winners(config, asked) == [None, None, 1, 0]
    (record,) = ask(config, [query("ranking", *map(response, (0.0, 0.9, 3.0, 1.7)))])
    assert record.ranks == (4, 2, 1, 2)  # 1.7 and 0.9 tie; 0.0 is too far from 1.7, which leads


def test_ties_stay_ties_however_noisy_the_choice_is() -> None:
    config = TeacherConfig(eps_equal=0.5, beta=0.0, eps_mistake=0.5)
    assert set(winners(config, [pair(0.0, 0.4) for _ in range(50)])) == {None}
    assert set(winners(config, [pair(0.0, 0.6) for _ in range(50)])) == {0, 1}


def test_the_worst_are_skipped() -> None:
    config = TeacherConfig(eps_skip=0.1)
    limit = -1.2815515655446004  # the tenth of a normal distribution
    golds = [limit - 0.01, limit + 0.01]
    kinds = [record.kind for record in ask(config, [query("score", response(g)) for g in golds])]
    assert kinds == ["skipped", "score"]
    # The best that is shown decides.
    kinds = [r.kind for r in ask(config, [pair(-5.0, limit + 0.01), pair(-5.0, limit - 0.01)])]
    assert kinds == ["comparison", "skipped"]
    rng = np.random.default_rng(1)
    asked = [query("score", response(float(g))) for g in rng.normal(size=3000)]
    skipped = sum(isinstance(record, Skipped) for record in ask(config, asked))
    assert_share(skipped, 3000, 0.1)


def test_some_are_skipped_for_no_reason() -> None:
    asked = [query("score", response(0.0)) for _ in range(3000)]
    records = ask(TeacherConfig(skip_rate=0.2), asked)
    assert_share(sum(isinstance(record, Skipped) for record in records), 3000, 0.2)
    assert all(answers_query(r, q) for r, q in zip(records, asked, strict=True))


def test_score_noise_is_a_truncated_normal_distribution() -> None:
    asked = [query("score", response(0.0)) for _ in range(3000)]
    small = values(TeacherConfig(score_noise=0.05), asked)
    assert abs(small.mean() - 0.5) < 4 * 0.05 / math.sqrt(3000)
    assert abs(small.std() - 0.05) < 4 * 0.05 / math.sqrt(2 * 3000)
    wide = values(TeacherConfig(score_noise=100.0), asked)  # truncated, that is all but even
    assert ((wide >= 0) & (wide <= 1)).all()
    assert abs(wide.mean() - 0.5) < 4 * math.sqrt(1 / 12 / 3000)
    assert abs(wide.std() - math.sqrt(1 / 12)) < 0.01
    assert not np.isin(wide, (0.0, 1.0)).any()  # drawn again, not clipped


def test_a_panel_takes_turns() -> None:
    teacher = build_teacher(TeacherConfig(annotators=3, annotator_id="p"))
    records = teacher.answer([query("score", response(0.0)) for _ in range(4)], round_index=0)
    records += teacher.answer([query("score", response(0.0))], round_index=0)
    assert sorted(r.annotator.id for r in records) == ["p-0", "p-0", "p-1", "p-1", "p-2"]
    several = build_teacher(TeacherConfig(annotators=3, answers_per_query=2))
    asked = [query("score", response(0.0)) for _ in range(3)]
    records = several.answer(asked, round_index=0)
    by_query = {q.query_id: {r.annotator.id for r in records if r.query_id == q.query_id}
                for q in asked}  # fmt: skip
    assert [len(people) for people in by_query.values()] == [2, 2, 2]


def test_anchoring_pulls_a_score_towards_the_last_ones() -> None:
    golds = [3.0, -3.0, -3.0, -3.0]
    asked = [query("score", response(g)) for g in golds]
    high, low = score_of(3), score_of(-3)
    found = values(TeacherConfig(anchoring=0.5, anchor_window=2), asked)
    second = (low + high) / 2
    third = (low + (high + second) / 2) / 2
    fourth = (low + (second + third) / 2) / 2
    np.testing.assert_allclose(found, [high, second, third, fourth])
    reverse = values(TeacherConfig(anchoring=0.5, anchor_window=2), asked[::-1])
    assert reverse[-1] < found[0]  # the same response, seen last


def test_leniency_drifts_over_rounds() -> None:
    config = TeacherConfig(drift=0.2)
    ends = []
    for seed in range(300):
        teacher = build_teacher(TeacherConfig(drift=0.2, seed=seed))
        first = teacher.answer([query("score", response(0.0))], round_index=0)
        last = teacher.answer([query("score", response(0.0), round_index=25)], round_index=25)
        assert first[0].value == 0.5
        ends.append(math.log(last[0].value / (1 - last[0].value)))
    assert abs(np.mean(ends)) < 4 * 1.0 / math.sqrt(300)
    assert abs(np.std(ends) - 1.0) < 4 * 1.0 / math.sqrt(600)  # 0.2 * sqrt(25)
    asked = [query("score", response(0.0)) for _ in range(5)]
    assert set(values(config, asked)) == {0.5}  # within a round nothing drifts


class CountGood:
    """Gold: the number of times that "good" occurs; tokens are words by number."""

    WORDS = ("bad", "good")

    def gold(self, response: Response) -> float | None:
        return float(response.text.split().count("good"))

    def findings(self, response: Response) -> tuple[Finding, ...]:
        return (Finding(aspect="covered", subject="goodness"),) if "good" in response.text else ()

    def demonstration(self, prompt: PromptText) -> Response | None:
        return Response(prompt=prompt, text="good good")

    def decode(self, token_ids: Sequence[int]) -> str:
        return " ".join(self.WORDS[i] for i in token_ids)


@pytest.mark.parametrize(
    ("view", "size", "unit", "seen"),
    [
        ("whole", 0, "action", 3),
        ("first", 2, "action", 0),
        ("last", 2, "action", 2),
        ("first", 3, "word", 1),
        ("last", 1, "word", 1),
        ("first", 12, "character", 1),
        ("last", 9, "character", 2),
        ("first", 99, "word", 3),
    ],
)
def test_a_partial_view_hides_the_rest(view: str, size: int, unit: str, seen: int) -> None:
    ids = (0, 0, 1, 1, 1)
    shown = response(None, "bad bad good good good", token_ids=ids)
    config = TeacherConfig(view=view, view_size=size, view_unit=unit)
    (record,) = ask(config, [query("score", shown)], CountGood())
    assert isinstance(record, Score)
    assert record.value == pytest.approx(score_of(seen))
    assert record.response is shown  # the record is about the whole response


def test_a_view_needs_somebody_who_knows_the_gold_of_a_part() -> None:
    config = TeacherConfig(view="first", view_size=1, view_unit="word")
    with pytest.raises(ValueError, match="needs a gold_score"):
        ask(config, [query("score", response(1.0, "two words"))])
    by_token = TeacherConfig(view="first", view_size=1)
    with pytest.raises(ValueError, match="decode"):
        ask(by_token, [query("score", response(1.0, "a b", token_ids=(1, 2)))])
    with pytest.raises(ValueError, match="token_ids"):
        ask(by_token, [query("score", response(1.0, "a b"))])


def segment(*rewards: float) -> Response:
    steps = Segment(
        observations=((0.0,),) * len(rewards), actions=(0,) * len(rewards), true_rewards=rewards
    )
    return response(None, "", segment=steps)


def test_segments_are_judged_by_their_true_rewards() -> None:
    asked = query("comparison", segment(3.0, 0.0), segment(0.0, 2.0))
    assert winners(TeacherConfig(), [asked]) == [0]
    # Myopia: 1.5 of the first, 2 of the second, which came last.
    assert winners(TeacherConfig(gamma=0.5), [asked]) == [1]
    assert winners(TeacherConfig(view="last", view_size=1), [asked]) == [1]
    one = query("score", segment(3.0, -1.0), action_index=1)
    some = query("score", segment(3.0, -1.0, 5.0), span=Span(start=0, end=2))
    np.testing.assert_allclose(values(TeacherConfig(), [one, some]), [score_of(-1), score_of(2)])
    with pytest.raises(ValueError, match="myopia"):
        ask(TeacherConfig(gamma=0.5), [query("score", response(1.0))])
    with pytest.raises(ValueError, match="of segments only"):
        spanned = response(1.0, "a b", token_ids=(1, 2))
        ask(TeacherConfig(), [query("score", spanned, action_index=0)])


def test_demonstrations_and_corrections_come_from_the_judge() -> None:
    asked = [query("demonstration"), query("correction", response(0.0))]
    shown, corrected = ask(TeacherConfig(), asked, CountGood())
    assert shown.response.text == "good good"  # type: ignore[attr-defined]
    assert corrected.better.text == "good good"  # type: ignore[attr-defined]
    assert [record.kind for record in ask(TeacherConfig(), asked)] == ["skipped", "skipped"]


def test_words_say_the_score_and_what_is_true() -> None:
    asked = [query("language", response(g, text)) for g, text in ((0, "good"), (0, "bad"))]
    good, bad = ask(TeacherConfig(gold_mean=0.5, gold_std=0.25), asked, CountGood())
    assert good.details == {"grade": 4, "findings": [["covered", "goodness"]]}
    assert "goodness" in good.words  # type: ignore[attr-defined]
    assert bad.details == {"grade": 0, "findings": []}


EVERYTHING = TeacherConfig(
    annotators=2, beta=1.0, eps_mistake=0.2, skip_rate=0.1, score_noise=0.2, length_bias=0.1,
    bias_spread=0.3, delay=1, delay_spread=2, anchoring=0.3, drift=0.1, bias_drift=0.1, seed=3,
    dropout_rate=0.001, eps_equal=0.05,
)  # fmt: skip


def play(teacher: Any, rounds: range) -> list[FeedbackRecord]:
    found = []
    for number in rounds:
        asked = [
            query("score", response(0.3), round_index=number, query_id=f"s{number}"),
            pair(0.1, 0.2, round_index=number, query_id=f"c{number}"),
            query("language", response(-0.4), round_index=number, query_id=f"l{number}"),
            query("ranking", *map(response, (0.1, 0.3, 0.2)), round_index=number,
                  query_id=f"r{number}"),
        ]  # fmt: skip
        found += teacher.answer(asked, round_index=number)
    return found


def test_a_restored_teacher_goes_on_exactly_alike() -> None:
    whole = build_teacher(EVERYTHING)
    before = play(whole, range(10))
    state = json.loads(json.dumps(whole.state_dict()))
    after = play(whole, range(10, 20))
    again = build_teacher(EVERYTHING)
    again.load_state_dict(state)
    assert play(again, range(10, 20)) == after
    assert len(before) > 20 and len({record.kind for record in before}) == 5
    fresh = build_teacher(EVERYTHING)
    assert play(fresh, range(10)) == before
    with pytest.raises(ValueError, match="state of 2 people, got 0"):
        again.load_state_dict({"next": 0, "people": []})
    with pytest.raises(ValueError, match="a teacher's state has"):
        build_teacher(TeacherConfig()).load_state_dict({})


def test_no_knob_disturbs_anothers_draws() -> None:
    asked = [query("score", response(0.0)) for _ in range(50)]
    plain = values(TeacherConfig(score_noise=0.1), asked)
    other = values(TeacherConfig(score_noise=0.1, skip_rate=1e-12, beta=0.3, delay_spread=0), asked)
    np.testing.assert_array_equal(plain, other)
    assert not np.array_equal(plain, values(TeacherConfig(score_noise=0.1, seed=1), asked))


def test_a_response_without_gold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs a gold_score .* 'air'"):
        ask(TeacherConfig(), [query("score", response(None))])
