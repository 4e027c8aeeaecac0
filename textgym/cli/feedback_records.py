"""Records of feedback by name: a store, or a file that `textgym feedback export` wrote."""

from __future__ import annotations

from textgym.feedback.record_json import read_jsonl
from textgym.feedback.records import FeedbackRecord
from textgym.feedback.store import FeedbackStore


def records_of(location: str) -> list[FeedbackRecord]:
    """Return all records of a store (a file or a URL) or of a JSONL file, corrected ones left out.

    Raises:
        FileNotFoundError: There is none.
        ValueError: A file that holds no records.
    """
    if location.endswith((".jsonl", ".jsonl.gz")):
        found = list(read_jsonl(location))
        revised = {record.revises for record in found if record.revises}
        return [record for record in found if record.record_id not in revised]
    with FeedbackStore(location, create=False) as store:
        return [item.record for item in store.current()]
