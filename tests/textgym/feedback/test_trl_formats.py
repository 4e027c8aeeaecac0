"""TRL's formats in and out."""

from __future__ import annotations

import pytest

from textgym.feedback import (
    Annotator,
    Comparison,
    Correction,
    Demonstration,
    PromptText,
    Ranking,
    Response,
    Score,
    Segment,
    Span,
)
from textgym.feedback.trl_formats import (
    comparisons_from_rows,
    preference_rows,
    scores_from_rows,
    supervised_rows,
    unpaired_rows,
)

ANN = Annotator(id="a1", kind="human")
PROMPT = PromptText(text="Q:")
A, B, C = (Response(prompt=PROMPT, text=text) for text in "abc")
USER = {"role": "user", "content": "hi"}


def reply(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_comparisons_and_rankings_go_out_without_ties() -> None:
    records = [
        Comparison(annotator=ANN, chosen=A, rejected=B),
        Comparison(annotator=ANN, chosen=A, rejected=B, is_tie=True),
        Ranking(annotator=ANN, ranked=(A, B, C), ranks=(2, 1, 2)),
        Score(annotator=ANN, response=A, value=1.0),
    ]
    rows = list(preference_rows(records))
    assert [(r["chosen"], r["rejected"]) for r in rows] == [("a", "b"), ("b", "a"), ("b", "c")]
    assert rows[0] == {"prompt": "Q:", "chosen": "a", "rejected": "b"}
    assert next(preference_rows(records, conversational=True)) == {
        "prompt": [{"role": "user", "content": "Q:"}],
        "chosen": [reply("a")],
        "rejected": [reply("b")],
    }


def test_scores_go_out_with_a_label() -> None:
    records = [Score(annotator=ANN, response=A, value=v) for v in (0.2, 0.5, 0.9)]
    part = Response(prompt=PROMPT, text="abc")
    records.append(
        Score(annotator=ANN, response=part, value=1, span=Span(start=0, end=1, unit="character"))
    )
    assert [row["label"] for row in unpaired_rows(records)] == [False, True, True]
    assert [row["label"] for row in unpaired_rows(records, threshold=0.6)] == [False, False, True]
    with pytest.raises(ValueError, match="threshold"):
        list(unpaired_rows(records, threshold=2))


def test_demonstrations_and_better_responses_feed_supervised_training() -> None:
    records = [
        Demonstration(annotator=ANN, response=A),
        Correction(annotator=ANN, response=A, better=B),
        Correction(annotator=ANN, response=A, action_index=0, better_action=1),
        Score(annotator=ANN, response=C, value=1.0),
    ]
    assert [row["completion"] for row in supervised_rows(records)] == ["a", "b"]


def test_trajectories_have_no_place_in_them() -> None:
    segment = Segment(observations=((0.0,),), actions=(1,))
    played = Response(prompt=PromptText(text=""), text="", segment=segment)
    for rows, record in (
        (preference_rows, Comparison(annotator=ANN, chosen=played, rejected=played)),
        (unpaired_rows, Score(annotator=ANN, response=played, value=1.0)),
        (supervised_rows, Demonstration(annotator=ANN, response=played)),
    ):
        with pytest.raises(ValueError, match="expected responses of text, got a stretch"):
            list(rows([record]))


def test_standard_preferences_come_in_and_go_out_unchanged() -> None:
    rows = [{"prompt": "Q:", "chosen": "a", "rejected": "b"}]
    records = list(comparisons_from_rows(rows, ANN))
    assert records[0].chosen.text == "a" and records[0].annotator == ANN
    assert list(preference_rows(records)) == rows


def test_conversational_preferences_come_in_and_go_out_unchanged() -> None:
    rows = [{"prompt": [USER], "chosen": [reply("a")], "rejected": [reply("b")]}]
    records = list(comparisons_from_rows(rows, ANN))
    assert records[0].prompt.text == "\n\nHuman: hi\n\nAssistant:"
    assert list(preference_rows(records, conversational=True)) == rows
    rendered = next(comparisons_from_rows(rows, ANN, render_chat=lambda m: m[0]["content"] + "!"))
    assert rendered.prompt.text == "hi!"


def test_an_implicit_prompt_is_the_common_beginning() -> None:
    rows = [{"chosen": [USER, reply("a")], "rejected": [USER, reply("b")]}]
    record = next(comparisons_from_rows(rows, ANN))
    assert (record.chosen.text, record.rejected.text) == ("a", "b")
    assert record.prompt.messages == (("user", "hi"),)
    other = {"role": "user", "content": "ho"}
    with pytest.raises(ValueError, match="row 0: .* the same messages but for the last"):
        next(
            comparisons_from_rows(
                [{"chosen": [USER, reply("a")], "rejected": [other, reply("b")]}], ANN
            )
        )


def test_unpaired_rows_come_in_and_go_out_unchanged() -> None:
    rows = [
        {"prompt": "Q:", "completion": "a", "label": True},
        {"prompt": "Q:", "completion": "b", "label": False},
    ]
    records = list(scores_from_rows(rows, ANN))
    assert [record.value for record in records] == [1.0, 0.0]
    assert list(unpaired_rows(records)) == rows
    chat = [{"prompt": [USER], "completion": [reply("a")], "label": True}]
    assert list(unpaired_rows(scores_from_rows(chat, ANN), conversational=True)) == chat


def test_the_same_rows_make_the_same_ids_and_equal_rows_different_ones() -> None:
    rows = [{"prompt": "Q:", "chosen": "a", "rejected": "b"}] * 2
    first = [record.record_id for record in comparisons_from_rows(rows, ANN)]
    assert first == [record.record_id for record in comparisons_from_rows(rows, ANN)]
    assert len(set(first)) == 2
    other = Annotator(id="a2", kind="human")
    assert not set(first) & {r.record_id for r in comparisons_from_rows(rows, other)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Q:", "chosen": "a"}, "no column 'rejected', only"),
        ({"chosen": "a", "rejected": "b"}, "a row of text needs 'prompt'"),
        ({"prompt": 3, "chosen": "a", "rejected": "b"}, "text or a list of messages, got 3"),
        ({"prompt": "Q:", "chosen": 1, "rejected": "b"}, "chosen must be text"),
        ({"prompt": [{"role": "x"}], "chosen": "a", "rejected": "b"}, "content"),
    ],
)
def test_bad_preference_rows_are_named(row: dict, message: str) -> None:
    good = {"prompt": "Q:", "chosen": "a", "rejected": "b"}
    with pytest.raises(ValueError, match=f"row 1: .*{message}"):
        list(comparisons_from_rows([good, row], ANN))


def test_a_label_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="row 0: label must be true or false, got 'good'"):
        list(scores_from_rows([{"prompt": "Q:", "completion": "a", "label": "good"}], ANN))
