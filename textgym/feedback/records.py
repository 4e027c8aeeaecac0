"""The kinds of feedback: one frozen, validated record for each answer that somebody gave.

Every record says who answered what, when, in which order it was shown; its responses say which
policy wrote them and how. `record_json` writes and reads them, `store` keeps them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from textgym.feedback.checks import (
    check_finite,
    check_fraction,
    check_integer,
    check_json,
    check_permutation,
    check_text,
)
from textgym.feedback.responses import Action, Annotator, PromptText, Response, Span

SCHEMA_VERSION = 1
"""Version of the records' fields; written with each, and a newer one is refused."""


def new_id() -> str:
    """Return a fresh id, unique everywhere."""
    return uuid.uuid4().hex


@dataclass(frozen=True, kw_only=True)
class FeedbackRecord:
    """What all kinds share.

    Attributes:
        annotator: Who answered.
        record_id: Unique; writing the same id again changes nothing. It outlives an erasure, so it
            must say nothing about a person.
        query_id: The query it answers; None for feedback that nobody asked for (imported data).
        asked_at: When it was shown, in seconds since 1970 UTC; None where not known.
        answered_at: When the answer was given, not before `asked_at`; None where not known.
        shown_order: Indices into `responses` in the order in which they were shown, left or top
            first; empty where not known. A comparison with (0, 1) had the chosen one on the left.
        round_index: Round of asking in which it was asked; None where not known.
        revises: Id of the record that this one corrects. The old one stays in the store.
        details: Whatever else is known (confidence, seconds spent, source); JSON values.
    """

    kind: ClassVar[str] = ""

    annotator: Annotator
    record_id: str = field(default_factory=new_id)
    query_id: str | None = None
    asked_at: float | None = None
    answered_at: float | None = None
    shown_order: tuple[int, ...] = ()
    round_index: int | None = None
    revises: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the shared fields."""
        check_text("record_id", self.record_id)
        check_finite("asked_at", self.asked_at, unit="seconds")
        check_finite("answered_at", self.answered_at, unit="seconds")
        asked, answered = self.asked_at, self.answered_at
        if asked is not None and answered is not None and answered < asked:
            raise ValueError(f"answered_at must not be before asked_at {asked!r}, got {answered!r}")
        check_integer("round_index", self.round_index)
        check_json("details", self.details)
        if self.revises == self.record_id:
            raise ValueError(f"revises must name another record, got its own id {self.revises!r}")
        if self.shown_order:
            check_permutation("shown_order", self.shown_order, len(self.responses))

    @property
    def responses(self) -> tuple[Response, ...]:
        """The responses it is about, in the order of its own fields."""
        raise NotImplementedError

    @property
    def prompt(self) -> PromptText:
        """The prompt that the responses answer."""
        return self.responses[0].prompt


@dataclass(frozen=True, kw_only=True)
class Score(FeedbackRecord):
    """A number in [0, 1] for a response, a span of it, or one of its actions.

    Attributes:
        response: What was judged.
        value: 0 worst, 1 best.
        span: The part it is about; None for the whole.
        action_index: The one action (token, step) it is about; not together with `span`.
    """

    kind: ClassVar[str] = "score"

    response: Response
    value: float
    span: Span | None = None
    action_index: int | None = None

    def __post_init__(self) -> None:
        """Check value and part."""
        super().__post_init__()
        check_fraction("score", self.value)
        check_part(self.response, self.span, self.action_index)

    @property
    def responses(self) -> tuple[Response, ...]:
        """The one judged."""
        return (self.response,)


@dataclass(frozen=True, kw_only=True)
class Comparison(FeedbackRecord):
    """Which of two responses to one prompt is better.

    Attributes:
        chosen: The better one; of a tie, either.
        rejected: The worse one; of a tie, the other.
        is_tie: Whether they were called equally good.
        strength: How much better, in (0, 1]; None where not asked, and for a tie.
    """

    kind: ClassVar[str] = "comparison"

    chosen: Response
    rejected: Response
    is_tie: bool = False
    strength: float | None = None

    def __post_init__(self) -> None:
        """Check that both answer one prompt, and the strength."""
        super().__post_init__()
        check_one_prompt((self.chosen, self.rejected))
        if self.strength is None:
            return
        check_fraction("strength", self.strength, above_zero=True)
        if self.is_tie:
            raise ValueError(f"the strength of a tie must be None, got {self.strength!r}")

    @property
    def responses(self) -> tuple[Response, ...]:
        """Chosen, rejected."""
        return (self.chosen, self.rejected)

    @property
    def label(self) -> float:
        """The target of a Bradley–Terry loss: 1, or 0.5 for a tie."""
        return 0.5 if self.is_tie else 1.0


@dataclass(frozen=True, kw_only=True)
class Ranking(FeedbackRecord):
    """An order of k responses to one prompt.

    Attributes:
        ranked: The k responses, at least two, in the order of the query.
        ranks: Their k ranks, 1 the best; equal ranks are ties.
    """

    kind: ClassVar[str] = "ranking"

    ranked: tuple[Response, ...]
    ranks: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the sizes and that all answer one prompt."""
        super().__post_init__()
        if len(self.ranked) < 2:
            raise ValueError(f"a ranking needs at least 2 responses, got {len(self.ranked)}")
        if len(self.ranks) != len(self.ranked):
            raise ValueError(
                f"ranks must hold one for each of {len(self.ranked)} responses, got {self.ranks!r}"
            )
        for rank in self.ranks:
            check_integer("rank", rank, least=1)
        check_one_prompt(self.ranked)

    @property
    def responses(self) -> tuple[Response, ...]:
        """All of them."""
        return self.ranked

    def comparisons(self) -> tuple[Comparison, ...]:
        """Return the k(k − 1)/2 comparisons that the order says, ties included."""
        shared = {f.name: getattr(self, f.name) for f in fields(FeedbackRecord)}
        shared["shown_order"] = ()
        pairs = [(i, j) for i in range(len(self.ranks)) for j in range(i + 1, len(self.ranks))]
        return tuple(self._comparison(i, j, shared) for i, j in pairs)

    def _comparison(self, first: int, second: int, shared: Mapping[str, Any]) -> Comparison:
        is_better = self.ranks[first] <= self.ranks[second]
        best, worst = (first, second) if is_better else (second, first)
        position = {index: place for place, index in enumerate(self.shown_order)}
        if position:
            shared = {**shared, "shown_order": _pair_order(position[best], position[worst])}
        return Comparison(
            **{**shared, "record_id": f"{self.record_id}/{first}-{second}"},
            chosen=self.ranked[best],
            rejected=self.ranked[worst],
            is_tie=self.ranks[first] == self.ranks[second],
        )


@dataclass(frozen=True, kw_only=True)
class LanguageFeedback(FeedbackRecord):
    """Words about a response or a span of it.

    Attributes:
        response: What was judged.
        words: What was said, verbatim.
        span: The part it is about; None for the whole.
    """

    kind: ClassVar[str] = "language"

    response: Response
    words: str
    span: Span | None = None

    def __post_init__(self) -> None:
        """Check words and span."""
        super().__post_init__()
        check_text("words", self.words)
        check_part(self.response, self.span, None)

    @property
    def responses(self) -> tuple[Response, ...]:
        """The one judged."""
        return (self.response,)


@dataclass(frozen=True, kw_only=True)
class Demonstration(FeedbackRecord):
    """A good response, shown by the teacher.

    Attributes:
        response: It; its `token_ids` may be empty where the teacher wrote text.
    """

    kind: ClassVar[str] = "demonstration"

    response: Response

    @property
    def responses(self) -> tuple[Response, ...]:
        """The one shown."""
        return (self.response,)


@dataclass(frozen=True, kw_only=True)
class Correction(FeedbackRecord):
    """A better response than the one given, or a better action at one of its steps.

    Attributes:
        response: What was corrected.
        better: The better response; None where one action is corrected.
        action_index: The step that is corrected; None where the whole is.
        better_action: What should have been done there.
    """

    kind: ClassVar[str] = "correction"

    response: Response
    better: Response | None = None
    action_index: int | None = None
    better_action: Action | None = None

    def __post_init__(self) -> None:
        """Check that it corrects either the whole or one action."""
        super().__post_init__()
        is_action = self.action_index is not None
        if is_action != (self.better_action is not None) or is_action == (self.better is not None):
            raise ValueError(
                "a correction needs either 'better' or 'action_index' with 'better_action', got "
                f"better={self.better is not None}, action_index={self.action_index!r}, "
                f"better_action={self.better_action!r}"
            )
        check_part(self.response, None, self.action_index)
        if self.better is not None:
            check_one_prompt((self.response, self.better))

    @property
    def responses(self) -> tuple[Response, ...]:
        """The one corrected."""
        return (self.response,)


@dataclass(frozen=True, kw_only=True)
class Skipped(FeedbackRecord):
    """The annotator saw the query and gave no answer.

    Attributes:
        shown_prompt: The prompt.
        skipped: The responses to it that were shown; empty where a demonstration was asked for.
        reason: Why, in a word; empty where not said.
    """

    kind: ClassVar[str] = "skipped"

    shown_prompt: PromptText
    skipped: tuple[Response, ...] = ()
    reason: str = ""

    @property
    def responses(self) -> tuple[Response, ...]:
        """All that was shown."""
        return self.skipped

    @property
    def prompt(self) -> PromptText:
        """The prompt that was shown."""
        return self.shown_prompt


RECORD_KINDS: dict[str, type[FeedbackRecord]] = {
    cls.kind: cls
    for cls in (Score, Comparison, Ranking, LanguageFeedback, Demonstration, Correction, Skipped)
}


def revised(record: FeedbackRecord, **changes: Any) -> FeedbackRecord:
    """Return a new record that corrects `record`: its fields with `changes`, and a new id."""
    return replace(record, **{"record_id": new_id(), "revises": record.record_id, **changes})


def check_one_prompt(responses: tuple[Response, ...]) -> None:
    """Reject responses that answer different prompts."""
    first = responses[0].prompt
    for other in responses[1:]:
        if not first.is_same(other.prompt):
            raise ValueError(
                f"responses must answer one prompt, got {first.text[:80]!r} and "
                f"{other.prompt.text[:80]!r}"
            )


def check_part(response: Response, span: Span | None, action_index: int | None) -> None:
    """Reject a span or an action that the response does not have."""
    if span is not None and action_index is not None:
        raise ValueError(
            f"feedback is about a span or one action, got span {span!r} and "
            f"action_index {action_index!r}"
        )
    check_integer("action_index", action_index)
    if span is not None:
        span.check_inside(response)
    actions = response.num_actions
    if action_index is not None and actions is not None and action_index >= actions:
        raise ValueError(
            f"action_index must be below the response's {actions} actions, got {action_index}"
        )


def _pair_order(best: int, worst: int) -> tuple[int, int]:
    return (0, 1) if best < worst else (1, 0)
