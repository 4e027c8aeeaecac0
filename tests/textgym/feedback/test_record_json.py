"""Records to JSON lines and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from textgym.feedback import (
    SCHEMA_VERSION,
    Annotator,
    Comparison,
    Correction,
    Demonstration,
    FeedbackRecord,
    LanguageFeedback,
    PromptText,
    Query,
    Ranking,
    Response,
    Score,
    Segment,
    Skipped,
    Span,
)
from textgym.feedback.record_json import (
    query_from_json,
    query_to_json,
    read_jsonl,
    record_from_json,
    record_to_json,
    to_line,
    write_jsonl,
)

ANN = Annotator(id="a1", kind="human")
PROMPT = PromptText(
    text="Q: é\n", token_ids=(5, 6), prompt_id=0, messages=(("user", "Q"), ("system", ""))
)
GOOD = Response(
    prompt=PROMPT,
    text="yes",
    token_ids=(1, 0, 3),
    finish_reason="eos",
    policy_fingerprint="abc",
    sampling={"temperature": 0.7, "stop": ["x"]},
    gold_score=0.0,
)
BAD = Response(prompt=PROMPT, text="")
WALK = Response(
    prompt=PromptText(text=""),
    text="",
    segment=Segment(
        observations=((0.0, 1.5), (2.0, 3.0)),
        actions=((0.5,), (-0.5,)),
        true_rewards=(1.0, 0.0),
        terminated=True,
    ),
)
SHARED = {"annotator": ANN, "asked_at": 1.5, "answered_at": 2.0, "query_id": "q", "round_index": 0}
RECORDS: list[FeedbackRecord] = [
    Score(**SHARED, response=GOOD, value=0.0, span=Span(start=0, end=2), record_id="0"),
    Score(**SHARED, response=WALK, value=1, action_index=0, record_id="1"),
    Comparison(
        **SHARED, chosen=GOOD, rejected=BAD, strength=0.25, shown_order=(1, 0), record_id="2"
    ),
    Comparison(**SHARED, chosen=GOOD, rejected=BAD, is_tie=True, record_id="3", revises="2"),
    Ranking(**SHARED, ranked=(GOOD, BAD, GOOD), ranks=(1, 2, 1), record_id="4"),
    LanguageFeedback(
        **SHARED,
        response=GOOD,
        words="too\nlong “é” \U0001f600",
        span=Span(start=0, end=3, unit="character"),
        record_id="5",
    ),
    Demonstration(**SHARED, response=GOOD, details={"seconds": 3}, record_id="6"),
    Correction(**SHARED, response=BAD, better=GOOD, record_id="7"),
    Correction(**SHARED, response=GOOD, action_index=0, better_action=0, record_id="8"),
    Correction(**SHARED, response=WALK, action_index=0, better_action=(0.0,), record_id="9"),
    Skipped(**SHARED, shown_prompt=PROMPT, reason="unclear", record_id="10"),
    Skipped(**SHARED, shown_prompt=PROMPT, skipped=(GOOD, BAD), record_id="11"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record.record_id}-{record.kind}")
def test_each_record_comes_back_equal(record: FeedbackRecord) -> None:
    line = to_line(record_to_json(record))
    assert "\n" not in line
    assert record_from_json(json.loads(line)) == record


def test_the_prompt_stands_once_and_a_version_is_written() -> None:
    data = record_to_json(RECORDS[2])
    assert to_line(data).count("Q: é") == 1
    assert data["schema_version"] == SCHEMA_VERSION and data["kind"] == "comparison"


def test_a_response_that_knows_other_ids_of_the_prompt_keeps_them() -> None:
    without_ids = Response(prompt=PromptText(text=PROMPT.text), text="no")
    record = Comparison(annotator=ANN, chosen=GOOD, rejected=without_ids)
    assert record_from_json(json.loads(to_line(record_to_json(record)))) == record


@pytest.mark.parametrize("name", ["records.jsonl", "records.jsonl.gz"])
def test_a_file_comes_back_equal(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new" / name
    assert write_jsonl(path, RECORDS) == len(RECORDS)
    assert list(read_jsonl(path)) == RECORDS
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    write_jsonl(path, RECORDS)

    def breaking():
        yield RECORDS[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_jsonl(path, breaking())
    assert len(list(read_jsonl(path))) == len(RECORDS)


def test_numbers_of_numpy_are_written() -> None:
    record = Score(annotator=ANN, response=GOOD, value=np.float32(0.5), action_index=np.int64(1))  # type: ignore[arg-type]
    assert json.loads(to_line(record_to_json(record)))["value"] == 0.5


def changed(**changes: object) -> dict:
    data = json.loads(to_line(record_to_json(RECORDS[0])))
    data.update(changes)
    return {name: value for name, value in data.items() if value != "DROP"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(schema_version=SCHEMA_VERSION + 1), "is newer than .* install a newer textgym"),
        (changed(schema_version="DROP"), "schema_version .* got None"),
        (changed(schema_version="1"), "integer from 1, got '1'"),
        (changed(kind="vote"), "kind must be one of .* got 'vote'"),
        (changed(colour="red"), "Score has no field 'colour'"),
        (changed(value="DROP"), "Score needs 'value'"),
        (changed(value=2), r"score must be a number in \[0, 1\], got 2"),
        (changed(prompt="DROP"), "prompt must be a JSON object, got None"),
        (changed(response="yes"), "response must be a JSON object, got 'yes'"),
        (changed(annotator={"id": "x", "kind": "robot"}), "got 'robot'"),
        (changed(shown_order=0), "shown_order must be a list, got 0"),
        (changed(response={"text": "a", "token_ids": "12"}), "token_ids must be a list"),
        (changed(response={"text": "a", "token_ids": [None]}), "token_ids must be integers"),
        (changed(span={"start": 0}), "Span needs 'end'"),
    ],
)
def test_bad_lines_name_file_and_line(tmp_path: Path, data: dict, message: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(f"{to_line(record_to_json(RECORDS[1]))}\n\n{json.dumps(data)}\n")
    with pytest.raises(ValueError, match=f"records.jsonl' line 3: .*{message}"):
        list(read_jsonl(path))


@pytest.mark.parametrize("line", ["{", "[1]", '"x"'])
def test_a_line_that_is_no_object(tmp_path: Path, line: str) -> None:
    (tmp_path / "r.jsonl").write_text(line)
    with pytest.raises(ValueError, match="line 1: "):
        list(read_jsonl(tmp_path / "r.jsonl"))


def test_queries_come_back_equal() -> None:
    queries = [
        Query(kind="comparison", prompt=PROMPT, responses=(GOOD, BAD), shown_order=(1, 0)),
        Query(kind="demonstration", prompt=PROMPT, round_index=3, asked_at=1.0),
        Query(kind="score", prompt=WALK.prompt, responses=(WALK,), action_index=0),
    ]
    for query in queries:
        assert query_from_json(json.loads(to_line(query_to_json(query)))) == query
    with pytest.raises(ValueError, match="of a query is newer"):
        query_from_json({**query_to_json(queries[0]), "schema_version": 9})
