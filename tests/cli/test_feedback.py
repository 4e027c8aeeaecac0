"""`textgym feedback`: the store from the command line."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path

import pytest

from textgym.cli.main import main
from textgym.feedback import (
    Annotator,
    Comparison,
    Correction,
    Demonstration,
    PromptText,
    Response,
    Score,
    Segment,
    revised,
)
from textgym.feedback.record_json import write_jsonl
from textgym.feedback.store import FeedbackStore
from textgym.feedback.store_engine import meta_table

ANN, BOB = Annotator(id="ann", kind="human"), Annotator(id="bob", kind="simulated")
PROMPT = PromptText(text="Q:")
A, B = Response(prompt=PROMPT, text="a"), Response(prompt=PROMPT, text="b")
FIRST = Score(annotator=ANN, response=A, value=0.2, record_id="s1")
RECORDS = [
    FIRST,
    Comparison(annotator=BOB, chosen=A, rejected=B, record_id="c1"),
    revised(FIRST, value=0.9, record_id="s2"),
]


@pytest.fixture
def store(tmp_path: Path) -> str:
    with FeedbackStore(tmp_path / "feedback.db") as opened:
        opened.append(RECORDS)
    return str(tmp_path / "feedback.db")


def feedback(*arguments: object) -> int:
    return main(["feedback", *map(str, arguments)])


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_stats(store: str, capsys: pytest.CaptureFixture) -> None:
    assert feedback("stats", store) == 0
    lines = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {name.strip(): int(number) for name, number in lines.items()} == {
        "records": 3,
        "comparison": 1,
        "score": 2,
        "by human annotators": 2,
        "by simulated annotators": 1,
        "annotators": 2,
        "corrected since": 1,
        "erased": 0,
    }


def test_records_go_out_and_in_again(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    exported, copy = tmp_path / "out.jsonl.gz", tmp_path / "copy.db"
    assert feedback("export", store, exported) == 0
    assert "3 rows written" in capsys.readouterr().out
    assert len(gzip.decompress(exported.read_bytes()).splitlines()) == 3
    assert feedback("import", copy, exported) == 0
    assert feedback("import", copy, exported) == 0
    assert "0 records added, 3 were there already" in capsys.readouterr().out
    with FeedbackStore(copy) as opened:
        assert [stored.record for stored in opened.iterate()] == RECORDS


def test_trl_formats_go_out_with_corrections_applied(store: str, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert feedback("export", store, path, "--format", "preference") == 0
    assert rows(path) == [{"prompt": "Q:", "chosen": "a", "rejected": "b"}]
    assert feedback("export", store, path, "--format", "unpaired") == 0
    assert [row["label"] for row in rows(path)] == [True]
    assert feedback("export", store, path, "--format", "unpaired", "--all") == 0
    assert [row["label"] for row in rows(path)] == [False, True]
    assert feedback("export", store, path, "--format", "unpaired", "--threshold", 0.95) == 0
    assert [row["label"] for row in rows(path)] == [False]
    assert feedback("export", store, path, "--format", "supervised", "--conversational") == 0
    assert rows(path) == []


def test_demonstrations_and_corrections_go_out_by_action(store: str, tmp_path: Path) -> None:
    prompt = PromptText(text="Q:", token_ids=(5,))
    said = Response(prompt=prompt, text="xy", token_ids=(1, 2))
    segment = Segment(observations=((0.5, 1.0),), actions=((0.25,),))
    played = Response(prompt=PromptText(text=""), text="", segment=segment)
    with FeedbackStore(store) as opened:
        opened.append(
            [
                Correction(annotator=ANN, response=said, action_index=1, better_action=3),
                Demonstration(annotator=ANN, response=played),
            ]
        )
    path = tmp_path / "actions.jsonl"
    assert feedback("export", store, path, "--format", "actions") == 0
    assert rows(path) == [
        {"seen": [5, 1], "action": 3},
        {"seen": [0.5, 1.0], "action": [0.25]},
    ]


def test_trl_formats_come_in(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pairs, labels, store = tmp_path / "p.jsonl", tmp_path / "u.jsonl", tmp_path / "new.db"
    pairs.write_text('{"prompt": "Q:", "chosen": "a", "rejected": "b"}\n')
    labels.write_text('{"prompt": "Q:", "completion": "a", "label": true}\n')
    flags = ("--annotator", "lab", "--annotator-kind", "model")
    assert feedback("import", store, pairs, "--format", "preference", *flags) == 0
    assert feedback("import", store, labels, "--format", "unpaired", *flags) == 0
    with FeedbackStore(store) as opened:
        found = [stored.record for stored in opened.iterate()]
    assert [record.kind for record in found] == ["comparison", "score"]
    assert {record.annotator for record in found} == {Annotator(id="lab", kind="model")}
    capsys.readouterr()
    assert feedback("import", store, pairs, "--format", "preference") == 2
    assert "needs --annotator" in capsys.readouterr().err
    assert feedback("import", store, pairs, "--annotator", "lab") == 2
    assert "leave --annotator out" in capsys.readouterr().err


def test_erasing_asks_first_and_lasts(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_jsonl(tmp_path / "backup.jsonl", RECORDS)
    assert feedback("erase", store, "--annotator", "ann") == 0
    assert "2 records would be erased" in capsys.readouterr().out
    assert feedback("erase", store, "--annotator", "ann", "--yes", "--reason", "asked") == 0
    assert "2 records erased" in capsys.readouterr().out
    assert feedback("import", store, tmp_path / "backup.jsonl") == 0
    assert "0 records added, 1 were there already, 2 were erased" in capsys.readouterr().out
    assert feedback("erase", store, "--record", "c1", "--yes") == 0
    with FeedbackStore(store) as opened:
        assert list(opened.iterate()) == []
    capsys.readouterr()
    assert feedback("erase", store, "--yes") == 2
    assert "annotator_id or record_ids, got neither" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("stats",), ("export", "x.jsonl"), ("erase", "--record", "x")])
def test_a_store_that_is_not_there(
    command: tuple, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    missing = tmp_path / "missing.db"
    assert feedback(command[0], missing, *command[1:]) == 2
    assert "there is no feedback store" in capsys.readouterr().err
    assert not missing.exists()


def test_mistakes_are_one_line(store: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"schema_version": 99, "kind": "score"}\n')
    assert feedback("import", store, bad) == 2
    error = capsys.readouterr().err
    assert "line 1: schema_version 99" in error and error.count("\n") == 1
    assert feedback("import", store, tmp_path / "missing.jsonl") == 2
    assert feedback() == 2
    assert feedback("vote", store) == 2
    assert "vote" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("stats",), ("export", "out.jsonl"), ("import", "in.jsonl")])
def test_what_is_no_store_or_a_newer_one_is_one_line(
    command: tuple, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    files = [str(tmp_path / name) for name in command[1:]]
    (tmp_path / "in.jsonl").write_text("", encoding="utf-8")
    broken, newer = tmp_path / "broken.db", tmp_path / "newer.db"
    broken.write_bytes(b"not a database at all, " * 200)
    FeedbackStore(newer).close()
    connection = sqlite3.connect(newer)
    connection.execute(f"UPDATE {meta_table.name} SET value = '99' WHERE name = 'version'")
    connection.commit()
    connection.close()
    for path, message in ((broken, "is corrupt or no database"), (newer, "install a newer")):
        assert feedback(command[0], path, *files) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_help_lists_the_sub_commands(capsys: pytest.CaptureFixture) -> None:
    assert feedback("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("stats", "export", "import", "erase"))
    assert feedback("erase", "--help") == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: textgym feedback erase [options] store\n") and "tombstone" in out


def test_critic_prints_figures_and_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rated = tmp_path / "rated.jsonl"
    lines = [{"words": f"{w} {i}", "stars": s} for i in range(20) for w, s in RATED_WORDS]
    rated.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "figures.json"
    options = ("--text-column", "words", "--rating-column", "stars", "--json", out)
    assert feedback("critic", "--rated", rated, *options) == 0
    printed = capsys.readouterr().out.splitlines()
    figures = json.loads(out.read_text())
    assert [item["name"] for item in figures] == [
        "seen phrasings",
        "unseen phrasings",
        "people's words, learned on the rubric alone",
        "people's words, learned on half of them",
    ]
    assert len(printed) == 5 and "unseen phrasings" in printed[2]
    seen, unseen, zero_shot, learned = (item["pairwise_accuracy"]["mean"] for item in figures)
    assert seen > unseen > 0.7 and zero_shot > 0.9 and learned > 0.9
    assert figures[2]["error"] is None


RATED_WORDS = [("an excellent answer", 5), ("a terrible answer", 1)]


def test_any_columns_come_in_by_a_mapping(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    store, file = str(tmp_path / "f.db"), tmp_path / "rows.jsonl"
    file.write_text(
        '{"q": "p", "a": "x", "b": "y", "stars": 4, "votes": [1, 2]}\n', encoding="utf-8"
    )
    who = ("--annotator", "lab")
    score = ("--format", "score", "--columns", "prompt=q,response=a,score=stars", "--scale", "1:5")
    assert feedback("import", store, file, *who, *score) == 0
    assert feedback("import", store, file, *who, *score) == 0
    assert "0 records added, 1 were there already" in capsys.readouterr().out
    votes = [
        part
        for i in (0, 1)
        for part in ("--columns", f"prompt=q,first=a,second=b,label=votes.{i},annotator=={i}")
    ]
    assert feedback("import", store, file, *who, "--format", "comparison", *votes) == 0
    with FeedbackStore(store) as opened:
        found = [item.record for item in opened.iterate()]
    assert found[0].value == 0.75
    assert [(r.annotator.id, r.chosen.text) for r in found[1:]] == [("lab-0", "x"), ("lab-1", "y")]
    for flags, message in (
        (("--columns", "response=a"), "--columns needs --format"),
        (("--format", "score", "--columns", "response=a"), "must name 'score'"),
        ((*score[:-1], "five"), "--scale must be LOW:HIGH"),
        (score[:4], "a score must be a number in [0, 1], got 4"),
    ):
        assert feedback("import", store, file, *who, *flags) == 2
        assert message in capsys.readouterr().err
