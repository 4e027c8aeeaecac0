"""The store, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from textgym.feedback import (
    Annotator,
    Comparison,
    FeedbackRecord,
    LanguageFeedback,
    PromptText,
    Response,
    Score,
    revised,
)
from textgym.feedback.store import FeedbackStore
from textgym.feedback.store_engine import (
    StoreError,
    feedback_table,
    open_engine,
    store_url,
    writing,
)

ANN, BOB = Annotator(id="ann-7431", kind="human"), Annotator(id="bob", kind="simulated")
PROMPT = PromptText(text="Q:", token_ids=(1, 2))
RESPONSE = Response(prompt=PROMPT, text="yes", token_ids=(3, 4), gold_score=0.25)
OTHER = Response(prompt=PROMPT, text="no")


def score(record_id: str, value: float = 0.5, who: Annotator = ANN) -> Score:
    return Score(
        annotator=who, response=RESPONSE, value=value, record_id=record_id, query_id=f"q{record_id}"
    )


def ids(store: FeedbackStore) -> list[str]:
    return [stored.record.record_id for stored in store.iterate()]


def test_what_is_written_is_read_in_order(location: str) -> None:
    records: list[FeedbackRecord] = [
        score("b"),
        score("a", 1.0, BOB),
        Comparison(annotator=ANN, chosen=RESPONSE, rejected=OTHER, record_id="c"),
    ]
    with FeedbackStore(location) as store:
        assert store.append(records).written == 3
    with FeedbackStore(location, create=False) as store:
        found = list(store.iterate(batch_size=2))
        assert [stored.record for stored in found] == records
        assert [stored.position for stored in found] == [1, 2, 3]


def test_a_cursor_goes_on_where_it_stood(location: str) -> None:
    with FeedbackStore(location) as store:
        assert store.read().cursor == 0
        store.append([score(str(i)) for i in range(5)])
        first = store.read(limit=2)
        second = store.read(first.cursor, limit=2)
        last = store.read(second.cursor, limit=2)
        pages = [[stored.record.record_id for stored in p.records] for p in (first, second, last)]
        assert pages == [["0", "1"], ["2", "3"], ["4"]]
        assert store.read(last.cursor) == type(last)(records=(), erased=(), cursor=last.cursor)
        store.append([score("new")])
        assert [s.record.record_id for s in store.read(last.cursor).records] == ["new"]


def test_a_cursor_of_another_store_is_refused(location: str) -> None:
    with FeedbackStore(location) as store:
        store.append([score("a")])
        with pytest.raises(ValueError, match="cursor 9 is beyond the last position 1"):
            store.read(9)
        with pytest.raises(ValueError, match="after >= 0"):
            store.read(-1)


def test_writing_again_changes_nothing(location: str) -> None:
    with FeedbackStore(location) as store:
        store.append([score("a"), score("b")])
        result = store.append([score("b"), score("c"), score("c")])
        assert (result.written, result.duplicates) == (1, 2)
        assert ids(store) == ["a", "b", "c"]


def test_other_content_under_a_stored_id_is_refused_and_nothing_is_written(location: str) -> None:
    with FeedbackStore(location) as store:
        store.append([score("a")])
        with pytest.raises(ValueError, match="'a' is stored already with other content"):
            store.append([score("new"), score("a", 0.9)])
        with pytest.raises(ValueError, match="'b' is stored already with other content"):
            store.append([score("b"), score("b", 0.9)])
        assert ids(store) == ["a"]


def test_a_correction_adds_a_row(location: str) -> None:
    with FeedbackStore(location) as store:
        first = score("a", 0.2)
        second = revised(first, value=0.6)
        third = revised(second, value=0.8)
        store.append([first, score("b"), second, third])
        assert len(ids(store)) == 4
        assert [stored.record for stored in store.current()] == [score("b"), third]
        assert store.statistics().revised == 2


def test_records_are_found_by_id(location: str) -> None:
    many = [score(str(i)) for i in range(1200)]
    with FeedbackStore(location) as store:
        store.append(many)
        wanted = ["nowhere", *(record.record_id for record in many)]
        assert store.find(wanted) == {record.record_id: record for record in many}


def test_erasing_a_person_removes_the_content_and_keeps_a_tombstone(location: str) -> None:
    words = LanguageFeedback(annotator=ANN, response=OTHER, words="my secret", record_id="w")
    with FeedbackStore(location) as store:
        store.append([score("a"), score("b", who=BOB), words])
        cursor = store.read().cursor
        erasure = store.erase(annotator_id=ANN.id, reason="asked")
        assert erasure.erased == 2 and erasure.is_scrubbed
        assert ids(store) == ["b"]
        later = store.read(cursor)
        assert later.records == () and later.erased == (1, 3) and later.cursor > cursor
        assert store.find(["a", "b"]) == {"a": None, "b": score("b", who=BOB)}
        # A later import must not bring it back.
        result = store.append([score("a"), words, score("c", who=BOB)])
        assert (result.written, result.erased) == (1, 2)
        statistics = store.statistics()
        assert (statistics.records, statistics.erased, statistics.annotators) == (2, 2, 1)
        assert store.erase(annotator_id=ANN.id).erased == 0


def test_single_records_are_erased(location: str) -> None:
    with FeedbackStore(location) as store:
        store.append([score("a"), score("b")])
        assert store.erase(record_ids=["b", "nowhere"]).erased == 1
        assert ids(store) == ["a"]
        with pytest.raises(ValueError, match="annotator_id or record_ids, got neither"):
            store.erase()


def test_erased_words_are_in_no_file_of_sqlite(tmp_path: Path) -> None:
    secret = "unforgettable-words " * 400  # longer than a page, so that it spills over
    words = LanguageFeedback(annotator=ANN, response=OTHER, words=secret, record_id="w")

    def traces() -> list[bool]:
        content = b"".join(path.read_bytes() for path in tmp_path.glob("f.db*"))
        return [b"unforgettable-words" in content, ANN.id.encode() in content]

    with FeedbackStore(tmp_path / "f.db") as store:
        store.append([words, score("b", who=BOB)])
        assert traces() == [True, True]
        assert store.erase(annotator_id=ANN.id).is_scrubbed
        assert traces() == [False, False]


def test_statistics_count_by_kind(location: str) -> None:
    with FeedbackStore(location) as store:
        assert store.statistics().records == 0
        pair = Comparison(annotator=BOB, chosen=RESPONSE, rejected=OTHER)
        store.append([score("a"), score("b", who=BOB), pair])
        found = store.statistics()
        assert found.by_kind == {"comparison": 1, "score": 2}
        assert found.by_annotator_kind == {"human": 1, "simulated": 2}
        assert (found.records, found.annotators, found.revised, found.erased) == (3, 2, 0, 0)


def test_a_store_that_is_not_there_is_not_made_by_reading(location: str) -> None:
    with pytest.raises(FileNotFoundError, match="there is no feedback store"):
        FeedbackStore(location, create=False)


def test_the_same_store_keeps_its_id(location: str) -> None:
    with FeedbackStore(location) as first, FeedbackStore(location) as second:
        assert first.store_id == second.store_id


def test_a_store_of_a_newer_version_is_refused(location: str) -> None:
    FeedbackStore(location).close()
    engine = open_engine(store_url(location), 5.0)
    with writing(engine) as connection:
        connection.execute(
            sa.text("UPDATE textgym_feedback_meta SET value = '99' WHERE name = 'version'")
        )
    engine.dispose()
    with pytest.raises(StoreError, match="version 99, newer than 1.* install a newer textgym"):
        FeedbackStore(location)


def test_a_record_of_a_newer_schema_is_refused(location: str) -> None:
    with FeedbackStore(location) as store:
        store.append([score("a")])
        engine = open_engine(store_url(location), 5.0)
        with writing(engine) as connection:
            content = feedback_table.c.content
            newer = sa.func.replace(content, '"schema_version":1', '"schema_version":7')
            connection.execute(sa.update(feedback_table).values(content=newer))
        engine.dispose()
        with pytest.raises(ValueError, match="schema_version 7 .* is newer than 1"):
            store.read()


def test_a_locked_store_says_so(location: str) -> None:
    with FeedbackStore(location, timeout_seconds=0.1) as store:
        engine = open_engine(store_url(location), 5.0)
        with writing(engine):
            with pytest.raises(StoreError, match="is locked: another process has been writing"):
                store.append([score("a")])
            assert store.read().records == ()  # readers are not held up
        engine.dispose()
        assert store.append([score("a")]).written == 1


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"not a database at all, " * 200)
    with pytest.raises(StoreError, match="notes.db' is corrupt or no database"):
        FeedbackStore(path)
    with pytest.raises(StoreError, match="corrupt or no database"):
        FeedbackStore(path, create=False)


def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with FeedbackStore(path) as store:
        store.append([score(str(i)) for i in range(500)])
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xff" * (len(content) - 8192 - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="corrupt"), FeedbackStore(path) as store:
        list(store.iterate())


def test_a_server_that_is_not_there_says_so_without_the_password() -> None:
    pytest.importorskip("psycopg")
    url = "postgresql://me:geheim@127.0.0.1:1/x"
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        FeedbackStore(url, timeout_seconds=1)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("mysql://h/x", "must be sqlite or postgresql"),
        ("sqlite://", "not a database in memory"),
        ("sqlite:///:memory:", "not a database in memory"),
        ("://", "expected a path or a database URL"),
    ],
)
def test_bad_locations(where: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeedbackStore(where)
    with pytest.raises(ValueError, match="timeout_seconds must be above 0"):
        FeedbackStore("x.db", timeout_seconds=0)


def test_sqlite_writes_ahead_and_waits_for_the_disk(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "f.db") as store:
        store.append([score("a")])
        with sqlite3.connect(tmp_path / "f.db") as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()
