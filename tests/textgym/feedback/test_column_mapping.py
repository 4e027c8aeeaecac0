"""Any file's rows as records: every kind, nested paths, what is refused, the same ids again."""

import pytest

from textgym.feedback.column_mapping import ColumnMapping, records_from_rows
from textgym.feedback.responses import Annotator

WHO = Annotator(id="lab", kind="human")


def made(kind, rows, columns="", **kwargs):
    mapping = ColumnMapping(kind=kind, columns=columns, **kwargs)
    return list(records_from_rows(rows, mapping, WHO))


def test_scores_on_a_scale():
    rows = [{"q": "why?", "a": "so", "stars": 2}, {"q": "why?", "a": "no", "stars": 1}]
    good, bad = made("score", rows, "prompt=q,response=a,score=stars", low=1, high=5)
    assert (good.value, bad.value) == (0.25, 0.0)
    assert (good.prompt.text, good.response.text, good.annotator) == ("why?", "so", WHO)
    (bare,) = made(
        "score", [{"text": "fine", "mean": 4}], "response=text,score=mean", low=-4, high=4
    )
    assert (bare.value, bare.prompt.text) == (1.0, "")


def test_comparisons_by_columns_labels_and_dialogues():
    row = {"q": "why?", "a": "so", "b": "no", "votes": [2, 0, "a"], "good": "x", "poor": "y"}
    columns = "prompt=q,first=a,second=b,label=votes.{},annotator==v{}"
    second, tie, named = (made("comparison", [row], columns.format(i, i))[0] for i in range(3))
    assert (second.chosen.text, second.rejected.text, second.label) == ("no", "so", 1.0)
    assert tie.is_tie and tie.label == 0.5
    assert named.chosen.text == "so" and named.annotator.id == "lab-v2"
    (by_column,) = made("comparison", [row], "prompt=q,chosen=good,rejected=poor,strength==0.5")
    assert (by_column.chosen.text, by_column.strength) == ("x", 0.5)
    start = "\n\nHuman: hi\n\nAssistant:"
    (dialogue,) = made(
        "comparison", [{"chosen": start + " yes", "rejected": start + " no", "id": 1}]
    )
    assert (dialogue.prompt.text, dialogue.chosen.text) == (start, " yes")


def test_messages_stay_messages():
    row = {"history": [{"role": "prompter", "text": "hi"}], "chosen": "yes", "rejected": "no"}
    (found,) = made("comparison", [row], "prompt=history,chosen=chosen,rejected=rejected")
    assert found.prompt.messages == (("prompter", "hi"),)
    assert found.prompt.text == "\n\nHuman: hi\n\nAssistant:"


def test_stars_go_through_all_entries():
    systems = {
        "one": {"response": "a", "reviews": [{"rating": 10}, {"rating": 20}]},
        "two": {"response": "b", "reviews": [{"rating": 90}]},
    }
    found = made(
        "score",
        [{"q": "p", "systems": systems}],
        "prompt=q,response=systems.*.response,score=systems.*.reviews.*.rating,"
        "annotator=systems.*.reviews.*.@,subset=systems.*.@",
        high=100,
    )
    assert [(r.response.text, r.value, r.annotator.id) for r in found] == [
        ("a", 0.1, "lab-0"),
        ("a", 0.2, "lab-1"),
        ("b", 0.9, "lab-0"),
    ]
    assert [r.details["subset"] for r in found] == ["one", "one", "two"]
    (ranking,) = made(
        "ranking",
        [{"q": "p", "s": [{"t": "a", "rank": 2.0}, {"t": "b", "rank": 1}]}],
        "prompt=q,response=s.*.t,rank=s.*.rank",
    )
    assert ranking.ranks == (2, 1) and ranking.ranked[1].text == "b"


def test_words_about_parts_and_corrections():
    row = {
        "q": "p",
        "a": "the sky is green",
        "errors": [
            {"type": "Wrong", "why": "it is blue", "at": [11, 16]},
            {"type": "Odd", "why": "", "at": [0, 3]},
        ],
        "better": "the sky is blue",
    }
    columns = (
        "prompt=q,response=a,words=errors.*.type+errors.*.why,start=errors.*.at.0,end=errors.*.at.1"
    )
    wrong, odd = made("language", [row], columns)
    assert wrong.words == "Wrong\nit is blue" and odd.words == "Odd"
    assert wrong.response.text[wrong.span.start : wrong.span.end] == "green"
    assert wrong.span.unit == "character"
    (corrected,) = made("correction", [row], "prompt=q,response=a,better=better")
    assert corrected.better.text == "the sky is blue"
    (shown,) = made("demonstration", [row], "prompt=q,response=better")
    assert shown.response.text == "the sky is blue"
    assert made("language", [{**row, "errors": []}], columns) == []


def test_the_same_rows_make_the_same_ids():
    rows = [{"q": "p", "a": "x", "s": 0.5}] * 2
    first = made("score", rows, "prompt=q,response=a,score=s")
    again = made("score", rows, "prompt=q,response=a,score=s")
    assert [r.record_id for r in first] == [r.record_id for r in again]
    assert first[0].record_id != first[1].record_id
    (shown, _) = made("demonstration", rows, "prompt=q,response=a")
    assert shown.record_id not in {r.record_id for r in first}


@pytest.mark.parametrize(
    ("kind", "row", "columns", "message"),
    [
        ("score", {"a": "x", "s": 6}, "response=a,score=s", r"row 0: a score must be .* got 6"),
        ("score", {"a": "x", "s": True}, "response=a,score=s", "got True"),
        ("score", {"a": "x", "s": float("nan")}, "response=a,score=s", "got nan"),
        ("score", {"a": "x"}, "response=a,score=s", "row 0 has no column 's'"),
        ("comparison", {"a": "x"}, "prompt=a,first=a,second=a,label==3", "label must be one of"),
        ("comparison", {"text": "x"}, "", "row 0 has no column 'chosen'"),
        ("language", {"a": "x", "e": 1}, "response=a,words=e.*.w", r"'\*' needs a list"),
        ("language", {"a": "x"}, "response=a,words==w,start==0,end==9", "row 0: span must end"),
        ("ranking", {"s": [{"t": "a"}]}, "response=s.*.t,rank=s.*.t", "row 0: .*at least 2"),
    ],
)
def test_what_makes_no_record_is_refused_with_its_row(kind, row, columns, message):
    with pytest.raises(ValueError, match=message):
        made(kind, [row], columns)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "opinion"}, "kind must be one of"),
        ({"kind": "score", "columns": "response=a"}, "must name 'score'"),
        ({"kind": "score"}, "must name 'response'"),
        ({"kind": "score", "columns": "response=a,score=s,rank=r"}, "names among"),
        ({"kind": "score", "columns": "response=a,score=s,start=b"}, "both 'start' and 'end'"),
        ({"kind": "comparison", "columns": "first=a,second=b"}, "must name 'label'"),
        ({"kind": "score", "columns": "response=a,score=s", "low": 1}, "a scale must rise"),
    ],
)
def test_mappings_without_a_meaning_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ColumnMapping(**settings)
