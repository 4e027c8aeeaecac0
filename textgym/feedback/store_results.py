"""What the feedback store returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from textgym.feedback.records import FeedbackRecord


@dataclass(frozen=True, kw_only=True)
class AppendResult:
    """What became of the records of one `append`.

    Attributes:
        written: New ones, now in the store.
        duplicates: Those that the store held already, word for word; nothing changed.
        erased: Those that were erased earlier; they stay erased.
    """

    written: int
    duplicates: int = 0
    erased: int = 0


@dataclass(frozen=True, kw_only=True)
class StoredRecord:
    """A record and its place in the store, from 1."""

    position: int
    record: FeedbackRecord


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a reader gets.

    Attributes:
        records: In the order of their positions.
        erased: Positions of records that were erased since: a reader that holds them, or what it
            made of them, drops them.
        cursor: Where to go on; an integer that a checkpoint can hold.
    """

    records: tuple[StoredRecord, ...]
    erased: tuple[int, ...]
    cursor: int


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """What an erasure did.

    Attributes:
        erased: Number of records whose content is gone.
        is_scrubbed: Whether their bytes have left the database's files too; False where another
            connection was in the way (erase again: it scrubs again).
    """

    erased: int
    is_scrubbed: bool


@dataclass(frozen=True, kw_only=True)
class StoreStatistics:
    """How much is in a store, tombstones not counted but under `erased`.

    Attributes:
        records: Number of records, revised ones included.
        by_kind: Number by kind of record.
        by_annotator_kind: Number by kind of annotator.
        annotators: Number of different annotators.
        revised: Records that a later one corrects.
        erased: Tombstones.
    """

    records: int
    by_kind: Mapping[str, int] = field(default_factory=dict)
    by_annotator_kind: Mapping[str, int] = field(default_factory=dict)
    annotators: int = 0
    revised: int = 0
    erased: int = 0
