"""Every kind of record: what it holds, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from textgym.feedback import (
    Annotator,
    Comparison,
    Correction,
    Demonstration,
    LanguageFeedback,
    PromptText,
    Ranking,
    Response,
    Score,
    Segment,
    Skipped,
    Span,
    revised,
)
from textgym.types import Episode, Prompt

ANN = Annotator(id="a1", kind="human")
PROMPT = PromptText(text="Q:", token_ids=(5, 6))
GOOD = Response(prompt=PROMPT, text="yes please", token_ids=(1, 2, 3))
BAD = Response(prompt=PROMPT, text="no", token_ids=(4, 3))


def test_a_comparison_has_a_label_and_its_prompt() -> None:
    comparison = Comparison(annotator=ANN, chosen=GOOD, rejected=BAD, strength=0.5)
    assert comparison.label == 1.0 and comparison.prompt == PROMPT
    assert replace(comparison, strength=None, is_tie=True).label == 0.5
    assert comparison.responses == (GOOD, BAD)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf"), "0.5", True, None])
def test_a_score_outside_0_and_1_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"score must be a number in \[0, 1\], got"):
        Score(annotator=ANN, response=GOOD, value=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, 1, 0.25])
def test_a_score_within_is_taken(value: float) -> None:
    assert Score(annotator=ANN, response=GOOD, value=value).value == value


def test_a_comparison_of_different_prompts_is_refused() -> None:
    other = Response(prompt=PromptText(text="R:"), text="no")
    with pytest.raises(ValueError, match="one prompt, got 'Q:' and 'R:'"):
        Comparison(annotator=ANN, chosen=GOOD, rejected=other)
    same_text = Response(prompt=PromptText(text="Q:", token_ids=(9,)), text="no")
    with pytest.raises(ValueError, match="one prompt"):
        Comparison(annotator=ANN, chosen=GOOD, rejected=same_text)
    unknown_ids = Response(prompt=PromptText(text="Q:"), text="no")
    assert Comparison(annotator=ANN, chosen=GOOD, rejected=unknown_ids).label == 1


def test_an_unknown_kind_of_annotator_is_refused() -> None:
    with pytest.raises(ValueError, match="annotator kind must be one of .*'human'.* got 'robot'"):
        Annotator(id="x", kind="robot")
    with pytest.raises(ValueError, match="annotator id"):
        Annotator(id=" ", kind="human")


@pytest.mark.parametrize(
    ("strength", "is_tie", "message"),
    [(0, False, r"in \(0, 1\]"), (1.5, False, r"in \(0, 1\]"), (0.5, True, "tie must be None")],
)
def test_strength_is_checked(strength: float, is_tie: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Comparison(annotator=ANN, chosen=GOOD, rejected=BAD, strength=strength, is_tie=is_tie)


def test_a_ranking_becomes_all_its_comparisons() -> None:
    third = Response(prompt=PROMPT, text="perhaps")
    ranking = Ranking(
        annotator=ANN,
        record_id="r",
        query_id="q",
        ranked=(GOOD, BAD, third),
        ranks=(2, 3, 2),
        shown_order=(2, 1, 0),
    )
    pairs = ranking.comparisons()
    said = [(p.record_id, p.chosen.text, p.rejected.text, p.is_tie, p.shown_order) for p in pairs]
    assert said == [
        ("r/0-1", "yes please", "no", False, (1, 0)),
        ("r/0-2", "yes please", "perhaps", True, (1, 0)),
        ("r/1-2", "perhaps", "no", False, (0, 1)),
    ]
    assert {p.query_id for p in pairs} == {"q"}


@pytest.mark.parametrize(
    ("ranked", "ranks", "message"),
    [
        ((GOOD,), (1,), "at least 2"),
        ((GOOD, BAD), (1,), "one for each of 2"),
        ((GOOD, BAD), (0, 1), "at least 1, got 0"),
        ((GOOD, BAD), (1.5, 1), "integer"),
    ],
)
def test_bad_rankings(ranked: tuple, ranks: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ranking(annotator=ANN, ranked=ranked, ranks=ranks)


def test_parts_must_lie_in_the_response() -> None:
    assert Score(annotator=ANN, response=GOOD, value=1, span=Span(start=0, end=3)).span
    with pytest.raises(ValueError, match="3 tokens, got end 4"):
        Score(annotator=ANN, response=GOOD, value=1, span=Span(start=0, end=4))
    with pytest.raises(ValueError, match="2 characters, got end 3"):
        LanguageFeedback(
            annotator=ANN, response=BAD, words="x", span=Span(start=0, end=3, unit="character")
        )
    with pytest.raises(ValueError, match="below the response's 3 actions, got 3"):
        Score(annotator=ANN, response=GOOD, value=1, action_index=3)
    with pytest.raises(ValueError, match="a span or one action"):
        Score(annotator=ANN, response=GOOD, value=1, action_index=0, span=Span(start=0, end=1))
    with pytest.raises(ValueError, match="span end must be an integer of at least 3"):
        Span(start=2, end=2)


def test_words_must_say_something() -> None:
    with pytest.raises(ValueError, match="words"):
        LanguageFeedback(annotator=ANN, response=GOOD, words=" ")


def test_a_correction_is_of_the_whole_or_of_one_action() -> None:
    assert Correction(annotator=ANN, response=BAD, better=GOOD).better is GOOD
    assert Correction(annotator=ANN, response=BAD, action_index=1, better_action=7).better is None
    with pytest.raises(ValueError, match="either 'better' or 'action_index'"):
        Correction(annotator=ANN, response=BAD)
    with pytest.raises(ValueError, match="either 'better' or 'action_index'"):
        Correction(annotator=ANN, response=BAD, better=GOOD, action_index=1, better_action=7)
    with pytest.raises(ValueError, match="one prompt"):
        Correction(
            annotator=ANN, response=BAD, better=Response(prompt=PromptText(text="R"), text="x")
        )


def test_a_segment_of_a_trajectory_can_be_judged() -> None:
    segment = Segment(observations=((0.0, 1.0),), actions=((0.5, -0.5),), true_rewards=(1.0,))
    response = Response(prompt=PromptText(text=""), text="", segment=segment)
    assert Score(annotator=ANN, response=response, value=0.5, action_index=0).action_index == 0
    assert response.num_actions == 1
    with pytest.raises(ValueError, match="1 observations and 2 actions"):
        Segment(observations=((0.0,),), actions=(1, 0))
    with pytest.raises(ValueError, match="one for each of 1 actions"):
        Segment(observations=((0.0,),), actions=(1,), true_rewards=(1.0, 2.0))


@pytest.mark.parametrize("ids", [(1.0,), ("1",), (-1,)])
def test_token_ids_are_integers_from_0(ids: tuple) -> None:
    with pytest.raises(ValueError, match="token_ids must be"):
        Response(prompt=PROMPT, text="x", token_ids=ids)


def test_shared_fields_are_checked() -> None:
    with pytest.raises(ValueError, match="permutation of 0..1"):
        Comparison(annotator=ANN, chosen=GOOD, rejected=BAD, shown_order=(0, 0))
    with pytest.raises(ValueError, match="not be before asked_at"):
        Demonstration(annotator=ANN, response=GOOD, asked_at=2.0, answered_at=1.0)
    with pytest.raises(ValueError, match="finite number of seconds"):
        Demonstration(annotator=ANN, response=GOOD, asked_at=float("nan"))
    with pytest.raises(ValueError, match="details must hold only what JSON holds"):
        Demonstration(annotator=ANN, response=GOOD, details={"x": object()})
    with pytest.raises(ValueError, match="its own id"):
        Demonstration(annotator=ANN, response=GOOD, record_id="r", revises="r")


def test_a_revision_is_a_new_record() -> None:
    score = Score(annotator=ANN, response=GOOD, value=0.2)
    again = revised(score, value=0.8)
    assert again.revises == score.record_id != again.record_id
    assert isinstance(again, Score) and again.value == 0.8 and score.value == 0.2


def test_a_skip_knows_its_prompt_without_responses() -> None:
    assert Skipped(annotator=ANN, shown_prompt=PROMPT).prompt is PROMPT


def test_an_episode_becomes_a_response() -> None:
    episode = Episode(
        prompt=Prompt(prompt_id=3, text="Q:"),
        prompt_ids=(5, 6),
        response_ids=(1, 2),
        response="yes",
        finish_reason="eos",
        gold_score=0.5,
    )
    response = Response.of_episode(episode, policy_fingerprint="f", sampling={"temperature": 1.0})
    assert response.prompt == PromptText(text="Q:", token_ids=(5, 6), prompt_id=3)
    assert (response.token_ids, response.gold_score, response.finish_reason) == ((1, 2), 0.5, "eos")
