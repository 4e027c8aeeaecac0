"""Where a simulated teacher's opinions come from: the gold of what it sees, and the facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from textgym.feedback.checks import check_choice, check_text
from textgym.feedback.responses import PromptText, Response

ASPECTS = (
    "covered",
    "missing",
    "wrong",
    "irrelevant",
    "repeated",
    "too_long",
    "broken",
    "unfinished",
)
"""What there is to say of a response. Only "covered" is praise."""
ABOUT_A_SUBJECT = ("covered", "missing", "wrong")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is true of a response, for words to name.

    Attributes:
        aspect: One of `ASPECTS`.
        subject: What it is about ("the outcome"), for those in `ABOUT_A_SUBJECT`; else empty.
    """

    aspect: str
    subject: str = ""

    def __post_init__(self) -> None:
        """Reject an unknown aspect, and a subject where there is none to have."""
        check_choice("aspect", self.aspect, ASPECTS)
        check_text("subject", self.subject, may_be_empty=True)
        if bool(self.subject) != (self.aspect in ABOUT_A_SUBJECT):
            raise ValueError(
                f"a subject belongs to {ABOUT_A_SUBJECT}, got aspect {self.aspect!r} with subject "
                f"{self.subject!r}"
            )

    @property
    def is_praise(self) -> bool:
        """Whether it speaks for the response."""
        return self.aspect == "covered"


class Judge(Protocol):
    """What simulated teachers know: pure functions of a response, whole or in part."""

    def gold(self, response: Response) -> float | None:
        """Return the gold utility of the response as it stands; None where it is not known."""
        ...

    def findings(self, response: Response) -> tuple[Finding, ...]:
        """Return what is true of the response, the weightiest first; possibly nothing."""
        ...

    def demonstration(self, prompt: PromptText) -> Response | None:
        """Return a good response, None where none is known."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of a part of a response.

        Raises:
            ValueError: It knows no tokenizer.
        """
        ...


class RecordedGold:
    """The gold that responses carry: `gold_score`, or the sum of a segment's true rewards."""

    def gold(self, response: Response) -> float | None:
        """Return it, None where there is none."""
        if response.gold_score is not None:
            return response.gold_score
        if response.segment is not None and response.segment.true_rewards:
            return float(sum(response.segment.true_rewards))
        return None

    def findings(self, response: Response) -> tuple[Finding, ...]:
        """Return nothing: words go by the gold alone."""
        return ()

    def demonstration(self, prompt: PromptText) -> Response | None:
        """Return None."""
        return None

    def decode(self, token_ids: Sequence[int]) -> str:
        """Raise a ValueError: there is no tokenizer."""
        raise ValueError("a view of some tokens needs a judge that can decode them, got none")
