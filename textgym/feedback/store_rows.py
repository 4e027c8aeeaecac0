"""Rows of the feedback table: made from records, looked up, blanked and counted."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from textgym.feedback.record_json import record_from_json, record_to_json, to_line
from textgym.feedback.records import FeedbackRecord, new_id
from textgym.feedback.store_engine import feedback_table
from textgym.feedback.store_results import StoredRecord, StoreStatistics

ERASURE_KIND = "erasure"
_IDS_AT_ONCE = 500
_ROWS = feedback_table.c
_IS_LIVE = _ROWS.content.is_not(None) & (_ROWS.kind != ERASURE_KIND)


def unique_rows(records: Iterable[FeedbackRecord]) -> dict[str, dict[str, Any]]:
    """Return the rows to write by record id; a record given twice must be the same twice."""
    rows: dict[str, dict[str, Any]] = {}
    now = time.time()
    for record in records:
        row = _row(record, now)
        if record.record_id in rows:
            check_same(record.record_id, rows[record.record_id]["content"], row["content"])
        rows[record.record_id] = row
    return rows


def _row(record: FeedbackRecord, now: float) -> dict[str, Any]:
    return {
        "record_id": record.record_id,
        "kind": record.kind,
        "annotator_id": record.annotator.id,
        "annotator_kind": record.annotator.kind,
        "query_id": record.query_id,
        "revises": record.revises,
        "written_at": now,
        "content": to_line(record_to_json(record)),
    }


def erasure_row(positions: Sequence[int], reason: str) -> dict[str, Any]:
    """Return the row that tells readers what was erased."""
    content = to_line({"positions": list(positions), "reason": reason})
    return {
        "record_id": new_id(),
        "kind": ERASURE_KIND,
        "written_at": time.time(),
        "content": content,
    }


def blank_rows(connection: sa.Connection, positions: Sequence[int]) -> None:
    """Take content and annotator out of rows: what is left is a tombstone."""
    connection.execute(
        sa.update(feedback_table)
        .where(_ROWS.position.in_(positions))
        .values(content=None, annotator_id=None, erased_at=time.time())
    )


def check_same(record_id: str, stored: str | None, given: str) -> None:
    """Reject other content under an id that is stored; a tombstone has none to differ from."""
    if stored is not None and stored != given:
        raise ValueError(
            f"record {record_id!r} is stored already with other content; to correct it, write a "
            f"new record that revises it"
        )


def check_cursor(after: int, connection: sa.Connection, place: str) -> None:
    """Reject a cursor beyond the last row."""
    last = connection.execute(sa.select(sa.func.max(_ROWS.position))).scalar() or 0
    if after > last:
        raise ValueError(
            f"cursor {after} is beyond the last position {last} of the feedback store {place!r}; "
            f"was it made for another store?"
        )


def contents_of(connection: sa.Connection, record_ids: Sequence[str]) -> dict[str, str | None]:
    """Return the content of those records that are stored, None for tombstones."""
    wanted = sa.select(_ROWS.record_id, _ROWS.content)
    found: dict[str, str | None] = {}
    for part in parts(record_ids):
        rows = connection.execute(wanted.where(_ROWS.record_id.in_(part))).all()
        found.update({row.record_id: row.content for row in rows})
    return found


def live_positions(
    connection: sa.Connection, annotator_id: str | None, record_ids: Sequence[str]
) -> list[int]:
    """Return where the records of an annotator, or with these ids, stand; not the tombstones."""
    wanted = [_ROWS.annotator_id == annotator_id] if annotator_id else []
    wanted += [_ROWS.record_id.in_(part) for part in parts(record_ids)]
    found: set[int] = set()
    for condition in wanted:
        rows = connection.execute(sa.select(_ROWS.position).where(_IS_LIVE & condition))
        found.update(rows.scalars())
    return sorted(found)


def revised_positions(connection: sa.Connection) -> set[int]:
    """Return where the records stand that a later one corrects."""
    return set(connection.execute(sa.select(_ROWS.position).where(_is_revised())).scalars())


def statistics_of(connection: sa.Connection) -> StoreStatistics:
    """Count what there is."""
    groups = connection.execute(
        sa.select(_ROWS.kind, _ROWS.annotator_kind, sa.func.count())
        .where(_IS_LIVE)
        .group_by(_ROWS.kind, _ROWS.annotator_kind)
    ).all()
    kinds: Counter[str] = Counter()
    people: Counter[str] = Counter()
    for kind, annotator_kind, number in groups:
        kinds[kind] += number
        people[annotator_kind] += number

    def count(what: Any, condition: Any) -> int:
        return connection.execute(sa.select(what).where(condition)).scalar() or 0

    return StoreStatistics(
        records=sum(kinds.values()),
        by_kind=dict(sorted(kinds.items())),
        by_annotator_kind=dict(sorted(people.items())),
        annotators=count(sa.func.count(sa.distinct(_ROWS.annotator_id)), _IS_LIVE),
        revised=count(sa.func.count(_ROWS.position), _IS_LIVE & _is_revised()),
        erased=count(sa.func.count(_ROWS.position), _ROWS.erased_at.is_not(None)),
    )


def stored_record(position: int, content: str) -> StoredRecord:
    """Read one row's content."""
    return StoredRecord(position=position, record=record_from_json(json.loads(content)))


def parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Pieces that fit into one statement."""
    for start in range(0, len(items), _IDS_AT_ONCE):
        yield items[start : start + _IDS_AT_ONCE]


def _is_revised() -> sa.Exists:
    later = feedback_table.alias()
    return sa.exists().where(later.c.revises == _ROWS.record_id)
