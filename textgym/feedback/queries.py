"""Questions to teachers, and what a teacher is. Asking and answering are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from textgym.feedback.checks import (
    check_choice,
    check_finite,
    check_integer,
    check_json,
    check_permutation,
    check_text,
)
from textgym.feedback.records import FeedbackRecord, check_one_prompt, check_part, new_id
from textgym.feedback.responses import Annotator, PromptText, Response, Span

QUERY_KINDS = {
    "score": (1, 1),
    "comparison": (2, 2),
    "ranking": (2, None),
    "language": (1, 1),
    "demonstration": (0, 0),
    "correction": (1, 1),
}
"""Kind of feedback asked for -> least and most responses that its query shows (None: no limit)."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """One question to a teacher.

    Attributes:
        kind: One of `QUERY_KINDS`: the kind of record asked for.
        prompt: What the responses answer.
        responses: What is to be judged: one for a score, words or a correction, two for a
            comparison, two or more for a ranking, none for a demonstration.
        query_id: Unique; answers name it.
        shown_order: A permutation of the responses' indices, the order in which they are to be
            shown (left or top first); by default as they stand. The asker shuffles.
        span: The part that the question is about; None for the whole.
        action_index: The one action that the question is about.
        round_index: Round of asking, at least 0.
        asked_at: Seconds since 1970 UTC, None where no clock is kept.
        details: What else the price or the page needs (instruction version, …); JSON values. It
            never says whether the answer is known: teachers see the details.
    """

    kind: str
    prompt: PromptText
    responses: tuple[Response, ...] = ()
    query_id: str = field(default_factory=new_id)
    shown_order: tuple[int, ...] = ()
    span: Span | None = None
    action_index: int | None = None
    round_index: int = 0
    asked_at: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check kind, number of responses, that they answer the prompt, and order."""
        check_choice("query kind", self.kind, QUERY_KINDS)
        check_text("query_id", self.query_id)
        self._check_responses()
        if not self.shown_order:
            object.__setattr__(self, "shown_order", tuple(range(len(self.responses))))
        check_permutation("shown_order", self.shown_order, len(self.responses))
        if (self.span is not None or self.action_index is not None) and len(self.responses) != 1:
            raise ValueError(f"a {self.kind} query cannot be about a span or an action")
        if self.responses:
            check_part(self.responses[0], self.span, self.action_index)
        check_integer("round_index", self.round_index)
        check_finite("asked_at", self.asked_at, unit="seconds")
        check_json("details", self.details)

    def _check_responses(self) -> None:
        least, most = QUERY_KINDS[self.kind]
        count = len(self.responses)
        if count < least or (most is not None and count > most):
            expected = f"exactly {least}" if least == most else f"at least {least}"
            raise ValueError(f"a {self.kind} query shows {expected} responses, got {count}")
        if self.responses:
            check_one_prompt(self.responses)
        if self.responses and not self.prompt.is_same(self.responses[0].prompt):
            raise ValueError(
                f"responses must answer the query's prompt {self.prompt.text[:80]!r}, got one to "
                f"{self.responses[0].prompt.text[:80]!r}"
            )

    @property
    def num_actions(self) -> int:
        """Tokens (or steps) that there are to read, over all responses; 0 where not known."""
        return sum(response.num_actions or 0 for response in self.responses)


class Teacher(Protocol):
    """Somebody who answers queries: simulated, a model, or people behind a page.

    One method asks and receives, so that answers may come at once, late, out of order or never:
    `answer(queries, ...)` takes the queries in and returns whatever is ready by now, of these
    queries or of earlier ones; `answer((), ...)` only asks what has become ready. A query may be
    answered by a `Skipped`, or never. `answers` makes the records.
    """

    annotator: Annotator

    def answer(self, queries: Sequence[Query], *, round_index: int) -> list[FeedbackRecord]:
        """Take queries in (possibly none) and return the answers that are ready in this round.

        Args:
            queries: New questions; each is handed over once.
            round_index: The asker's round now, never decreasing: what a delay is counted in.

        Returns:
            Records that each name their query, in any order.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed run needs to go on exactly alike; JSON values only."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        ...
