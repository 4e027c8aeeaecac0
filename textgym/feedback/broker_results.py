"""What the broker returns: what became of questions, and what a poll brought."""

from __future__ import annotations

from dataclasses import dataclass

from textgym.feedback.open_queries import Rejection
from textgym.feedback.queries import Query
from textgym.feedback.records import FeedbackRecord, Skipped


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What became of questions.

    Attributes:
        asked: They go to the teacher, with round and time filled in.
        unaffordable: They do not: the budget has too little left for them.
    """

    asked: tuple[Query, ...]
    unaffordable: tuple[Query, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Received:
    """What one `poll` brought; `records`, `skipped` and `late` are in the store.

    Attributes:
        records: Answers in time, and corrections of earlier answers.
        skipped: Questions that an annotator saw and did not answer.
        late: Answers, and skips, of questions that had expired.
        rejected: Answers to nothing that is open; neither stored nor paid for.
        expired: Questions that expired since the last poll.
    """

    records: tuple[FeedbackRecord, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    late: tuple[FeedbackRecord, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    expired: tuple[Query, ...] = ()

    def raise_rejected(self) -> None:
        """Raise a ValueError that names the first rejected answer, if there is one."""
        for item in self.rejected:
            raise ValueError(
                f"record {item.record.record_id!r} for query {item.record.query_id!r} was "
                f"rejected: {item.reason} (rejected in all: {len(self.rejected)})"
            )
