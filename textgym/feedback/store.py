"""An append-only store of feedback in a database: SQLite in one file, or PostgreSQL by URL.

A record, once written, stays as it is. Correcting one adds a row that `revises` it; only the
erasure of a person (or of single records) takes content away, and leaves a tombstone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import sqlalchemy as sa

from textgym.feedback.record_json import record_from_json
from textgym.feedback.records import FeedbackRecord, new_id
from textgym.feedback.store_engine import (
    STORE_VERSION,
    StoreError,
    create_tables,
    feedback_table,
    has_tables,
    meta_table,
    open_engine,
    plain_errors,
    scrub,
    shown,
    store_url,
    writing,
)
from textgym.feedback.store_results import (
    AppendResult,
    Erasure,
    Page,
    StoredRecord,
    StoreStatistics,
)
from textgym.feedback.store_rows import (
    ERASURE_KIND,
    blank_rows,
    check_cursor,
    check_same,
    contents_of,
    erasure_row,
    live_positions,
    parts,
    revised_positions,
    statistics_of,
    stored_record,
    unique_rows,
)

_ROWS = feedback_table.c


class FeedbackStore:
    """Append-only feedback in a database; safe for several processes at once.

    Attributes:
        store_id: Unique; tells whether a cursor was made for this store.
    """

    def __init__(
        self, location: str | Path, *, create: bool = True, timeout_seconds: float = 30.0
    ) -> None:
        """Open a store.

        Args:
            location: A path (SQLite), or `postgresql://USER:PASSWORD@HOST/NAME`. SQLite needs a
                local disk: its write-ahead log does not work over a network.
            create: Make the store where there is none.
            timeout_seconds: How long to wait for another writer.

        Raises:
            FileNotFoundError: No such store, and `create` is False.
            StoreError: Locked, corrupt, not reachable, or from a newer version.
        """
        if not timeout_seconds > 0:
            raise ValueError(f"timeout_seconds must be above 0, got {timeout_seconds!r}")
        self._url = store_url(location)
        if self._url.get_backend_name() == "sqlite":
            _prepare_file(Path(str(self._url.database)), create)
        self._engine = open_engine(self._url, timeout_seconds)
        try:
            with plain_errors(self._url):
                self.store_id = self._open(create)
        except BaseException:
            self.close()
            raise

    def append(self, records: Iterable[FeedbackRecord]) -> AppendResult:
        """Write records in their order, all or none of them.

        A record whose id is stored already changes nothing, so that a writer that does not know
        whether it was killed before or after may write again.

        Raises:
            ValueError: An id that is stored already with other content; nothing is written.
            StoreError: The database cannot be written.
        """
        records = list(records)
        rows = unique_rows(records)
        with plain_errors(self._url), writing(self._engine) as connection:
            known = contents_of(connection, list(rows))
            for record_id, content in known.items():
                check_same(record_id, content, rows[record_id]["content"])
            new = [row for record_id, row in rows.items() if record_id not in known]
            if new:
                connection.execute(sa.insert(feedback_table), new)
        erased = sum(content is None for content in known.values())
        duplicates = len(records) - len(new) - erased
        return AppendResult(written=len(new), duplicates=duplicates, erased=erased)

    def read(self, after: int = 0, *, limit: int = 1000) -> Page:
        """Return up to `limit` rows behind the cursor `after`, 0 for the beginning.

        Raises:
            ValueError: A cursor beyond the store's end: it was made for another store.
            StoreError: The database cannot be read.
        """
        if after < 0 or limit < 1:
            raise ValueError(f"expected after >= 0 and limit >= 1, got {after!r} and {limit!r}")
        wanted = (
            sa.select(_ROWS.position, _ROWS.kind, _ROWS.content)
            .where(_ROWS.position > after)
            .order_by(_ROWS.position)
            .limit(limit)
        )
        with plain_errors(self._url), self._engine.connect() as connection:
            rows = connection.execute(wanted).all()
            if not rows:
                check_cursor(after, connection, shown(self._url))
        erased = [json.loads(row.content)["positions"] for row in rows if row.kind == ERASURE_KIND]
        return Page(
            records=tuple(
                stored_record(row.position, row.content)
                for row in rows
                if row.content is not None and row.kind != ERASURE_KIND
            ),
            erased=tuple(position for positions in erased for position in positions),
            cursor=rows[-1].position if rows else after,
        )

    def iterate(self, after: int = 0, *, batch_size: int = 1000) -> Iterator[StoredRecord]:
        """Yield every record behind the cursor `after`, revised ones included."""
        while True:
            page = self.read(after, limit=batch_size)
            yield from page.records
            if page.cursor == after:
                return
            after = page.cursor

    def current(self) -> Iterator[StoredRecord]:
        """Yield the records that no later record corrects.

        A correction that was erased still stands for "not that": what it corrected stays out.
        """
        with plain_errors(self._url), self._engine.connect() as connection:
            revised = revised_positions(connection)
        return (stored for stored in self.iterate() if stored.position not in revised)

    def find(self, record_ids: Sequence[str]) -> dict[str, FeedbackRecord | None]:
        """Return those of the records that are stored, by id; None for a tombstone."""
        with plain_errors(self._url), self._engine.connect() as connection:
            found = contents_of(connection, record_ids)
        return {
            record_id: None if content is None else record_from_json(json.loads(content))
            for record_id, content in found.items()
        }

    def erase(
        self, *, annotator_id: str | None = None, record_ids: Sequence[str] = (), reason: str = ""
    ) -> Erasure:
        """Remove the content of one annotator's records, or of single ones, for good.

        What stays is a tombstone: position, id, kind, the query's id, and when it was erased. It
        keeps a later import from bringing the record back. Readers learn of it by `Page.erased`.
        Exports, backups and models made before are outside of the store's reach.

        Raises:
            ValueError: Neither an annotator nor a record.
            StoreError: The database cannot be written.
        """
        _check_whom(annotator_id, record_ids)
        with plain_errors(self._url):
            with writing(self._engine) as connection:
                positions = live_positions(connection, annotator_id, record_ids)
                for part in parts(positions):
                    blank_rows(connection, part)
                if positions:
                    connection.execute(sa.insert(feedback_table), erasure_row(positions, reason))
            return Erasure(erased=len(positions), is_scrubbed=scrub(self._engine))

    def count_erasable(
        self, *, annotator_id: str | None = None, record_ids: Sequence[str] = ()
    ) -> int:
        """Return how many records `erase` would erase; errors as there."""
        _check_whom(annotator_id, record_ids)
        with plain_errors(self._url), self._engine.connect() as connection:
            return len(live_positions(connection, annotator_id, record_ids))

    def statistics(self) -> StoreStatistics:
        """Count what there is."""
        with plain_errors(self._url), self._engine.connect() as connection:
            return statistics_of(connection)

    def close(self) -> None:
        """Close every connection; the store can be opened again."""
        self._engine.dispose()

    def __enter__(self) -> FeedbackStore:
        """Return the store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _open(self, create: bool) -> str:
        with self._engine.connect() as connection:
            is_there = has_tables(connection)
        if not is_there:
            if not create:
                raise FileNotFoundError(f"there is no feedback store in {shown(self._url)!r}")
            with writing(self._engine) as connection:
                self._create(connection)
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(meta_table)).all()
            meta = {row.name: row.value for row in rows}
        version = int(meta.get("version", 0))
        if version > STORE_VERSION:
            raise StoreError(
                f"the feedback store {shown(self._url)!r} has version {version}, newer than "
                f"{STORE_VERSION}, the newest that this version of textgym opens; install a newer "
                f"textgym"
            )
        return meta["store_id"]

    def _create(self, connection: sa.Connection) -> None:
        # Another process may have made it between our look and our lock.
        if has_tables(connection):
            return
        create_tables(connection)
        meta = {"version": str(STORE_VERSION), "store_id": new_id()}
        rows = [{"name": name, "value": value} for name, value in meta.items()]
        connection.execute(sa.insert(meta_table), rows)


def _prepare_file(path: Path, create: bool) -> None:
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.is_file():
        raise FileNotFoundError(f"there is no feedback store {str(path)!r}")


def _check_whom(annotator_id: str | None, record_ids: Sequence[str]) -> None:
    if not annotator_id and not record_ids:
        raise ValueError("erasing needs an annotator_id or record_ids, got neither")
