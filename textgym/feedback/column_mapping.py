"""Records of feedback from any file of rows: a mapping says which column is what.

Importing the same rows with the same mapping twice makes records of the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from textgym.comparison_rows import judgement_of, label_of, response_text
from textgym.dataset_files import Row, parse_columns
from textgym.dialogues import RenderChat
from textgym.feedback.checks import is_number
from textgym.feedback.records import (
    Comparison,
    Correction,
    Demonstration,
    FeedbackRecord,
    LanguageFeedback,
    Ranking,
    Score,
)
from textgym.feedback.responses import Annotator, PromptText, Response, Span
from textgym.feedback.row_paths import expanded, listed
from textgym.feedback.trl_formats import RowIds, prompt_in

Values = Mapping[str, Any]

_ANY = ("prompt", "annotator", "subset")
_PART = ("start", "end")
COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "comparison": (*_ANY, "chosen", "rejected", "first", "second", "label", "strength"),
    "score": (*_ANY, *_PART, "response", "score"),
    "language": (*_ANY, *_PART, "response", "words"),
    "ranking": (*_ANY, "response", "rank"),
    "demonstration": (*_ANY, "response"),
    "correction": (*_ANY, "response", "better"),
}
"""Kind of record to the names that a mapping of it may have."""
_NEEDED = {
    "score": ("response", "score"),
    "language": ("response", "words"),
    "ranking": ("response", "rank"),
    "demonstration": ("response",),
    "correction": ("response", "better"),
}


@dataclass(frozen=True, kw_only=True)
class ColumnMapping:
    """Which columns hold what.

    Attributes:
        kind: Kind of record, a key of `COLUMN_NAMES`.
        columns: `"name=path,name=path"`, see `row_paths`; empty for comparisons whose form is
            recognised (`prompt`, `chosen`, `rejected`, or whole dialogues).
        low: Worst number that the file's scores may have; it becomes 0.
        high: Best one; it becomes 1.
    """

    kind: str
    columns: str = ""
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        """Reject an unknown kind, unknown or missing names, and an empty scale."""
        if self.kind not in COLUMN_NAMES:
            raise ValueError(f"kind must be one of {tuple(COLUMN_NAMES)}, got {self.kind!r}")
        names = self.names
        missing = [name for name in self._needed(names) if name not in names]
        if missing:
            raise ValueError(
                f"columns of a {self.kind} must name {missing[0]!r}, got {self.columns!r}"
            )
        if ("start" in names) != ("end" in names):
            raise ValueError(f"a part needs both 'start' and 'end', got {self.columns!r}")
        if not self.low < self.high:
            raise ValueError(f"a scale must rise, got {self.low!r} to {self.high!r}")

    @property
    def names(self) -> dict[str, str]:
        """Name to path."""
        return parse_columns(self.columns, COLUMN_NAMES[self.kind]) if self.columns else {}

    def _needed(self, names: Mapping[str, str]) -> tuple[str, ...]:
        if self.kind != "comparison":
            return _NEEDED[self.kind]
        is_labelled = any(name in names for name in ("first", "second", "label"))
        return ("first", "second", "label") if is_labelled else ()


def records_from_rows(
    rows: Iterable[Row],
    mapping: ColumnMapping,
    annotator: Annotator,
    *,
    render_chat: RenderChat | None = None,
) -> Iterator[FeedbackRecord]:
    """Yield the records that the rows hold.

    A row gives a record for every way to fill the stars of its paths; a ranking takes them all at
    once. Where a column `annotator` is named, its value is added to the annotator's id.

    Args:
        rows: Rows of a file.
        mapping: Which columns hold what.
        annotator: To whom the judgements are credited.
        render_chat: Renders the messages of a prompt; the plain Human/Assistant form where None.

    Raises:
        ValueError: A missing column, a score outside the scale, an unknown label, or a value that
            the record refuses; the row is named.
    """
    make = _Maker(mapping, annotator, render_chat)
    for number, row in enumerate(rows):
        for values in make.values_of(row, number):
            try:
                yield make.record(values, number)
            except ValueError as error:
                # What reads the columns names the row already.
                named = str(error) if str(error).startswith("row ") else f"row {number}: {error}"
                raise ValueError(named) from error


class _Maker:
    """Makes records of one mapping."""

    def __init__(
        self, mapping: ColumnMapping, annotator: Annotator, render_chat: RenderChat | None
    ) -> None:
        self._mapping, self._annotator, self._render = mapping, annotator, render_chat
        self._names, self._ids = mapping.names, RowIds(annotator)
        self._makers: dict[str, Callable[[Values, int, dict[str, Any]], FeedbackRecord]] = {
            "comparison": self._comparison,
            "score": self._score,
            "language": self._language,
            "ranking": self._ranking,
            "demonstration": self._demonstration,
            "correction": self._correction,
        }

    def values_of(self, row: Row, number: int) -> Iterator[dict[str, Any]]:
        """Yield what the names stand for, for each record of the row."""
        if not self._names:
            known = ("prompt", "chosen", "rejected")
            yield {name: row[name] for name in known if name in row}
        elif self._mapping.kind == "ranking":
            many = ("response", "rank")
            values = {name: listed(row, self._names[name], number) for name in many}
            others = {n: path for n, path in self._names.items() if n not in many}
            yield {**(next(expanded(row, others, number)) if others else {}), **values}
        else:
            yield from expanded(row, self._names, number)

    def record(self, values: Values, number: int) -> FeedbackRecord:
        kind = self._mapping.kind
        annotator = self._annotator
        if "annotator" in values:
            name = f"{annotator.id}-{values['annotator']}"
            annotator = Annotator(id=name, kind=annotator.kind)
        shared: dict[str, Any] = {
            "annotator": annotator,
            "record_id": self._ids.next({"kind": kind, **values}),
        }
        if values.get("subset") is not None:
            shared["details"] = {"subset": str(values["subset"])}
        return self._makers[kind](values, number, shared)

    def _comparison(self, values: Values, number: int, shared: dict[str, Any]) -> Comparison:
        if "label" in values:
            # The label may name a column, by the file's name for it.
            label = label_of(values["label"], self._names, number)
            sides = (values["first"], values["second"])
            chosen, rejected = reversed(sides) if label == 2 else sides
            prompt, is_tie = self._prompt(values), label == 0
        else:
            found = judgement_of(values, {}, number, self._render)
            prompt = self._prompt(values) if "prompt" in values else PromptText(text=found.prompt)
            chosen, rejected, is_tie = found.chosen, found.rejected, False
        strength = values.get("strength")
        return Comparison(
            **shared,
            chosen=_response(prompt, chosen),
            rejected=_response(prompt, rejected),
            is_tie=is_tie,
            strength=None if strength is None or is_tie else float(strength),
        )

    def _score(self, values: Values, number: int, shared: dict[str, Any]) -> Score:
        return Score(
            **shared,
            response=_response(self._prompt(values), values["response"]),
            value=self._on_scale(values["score"]),
            span=_span(values),
        )

    def _language(self, values: Values, number: int, shared: dict[str, Any]) -> LanguageFeedback:
        return LanguageFeedback(
            **shared,
            response=_response(self._prompt(values), values["response"]),
            words=str(values["words"]),
            span=_span(values),
        )

    def _ranking(self, values: Values, number: int, shared: dict[str, Any]) -> Ranking:
        prompt = self._prompt(values)
        return Ranking(
            **shared,
            ranked=tuple(_response(prompt, text) for text in values["response"]),
            ranks=tuple(_whole(rank) for rank in values["rank"]),
        )

    def _demonstration(self, values: Values, number: int, shared: dict[str, Any]) -> Demonstration:
        return Demonstration(**shared, response=_response(self._prompt(values), values["response"]))

    def _correction(self, values: Values, number: int, shared: dict[str, Any]) -> Correction:
        prompt = self._prompt(values)
        return Correction(
            **shared,
            response=_response(prompt, values["response"]),
            better=_response(prompt, values["better"]),
        )

    def _prompt(self, values: Values) -> PromptText:
        data = values.get("prompt", "")
        return PromptText(text="") if data in ("", None) else prompt_in(data, self._render)

    def _on_scale(self, value: Any) -> float:
        low, high = self._mapping.low, self._mapping.high
        if not is_number(value) or not low <= value <= high:
            raise ValueError(f"a score must be a number in [{low:g}, {high:g}], got {value!r}")
        return float((value - low) / (high - low))


def _response(prompt: PromptText, text: Any) -> Response:
    return Response(prompt=prompt, text=response_text(text))


def _span(values: Values) -> Span | None:
    if "start" not in values:
        return None
    return Span(start=values["start"], end=values["end"], unit="character")


def _whole(rank: Any) -> Any:
    return int(rank) if isinstance(rank, float) and rank.is_integer() else rank
