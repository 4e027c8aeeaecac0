"""Data formats of TRL: preference (prompt, chosen, rejected), unpaired (label), prompt-completion.

All come as plain text ("standard") or as lists of messages ("conversational"). Importing the
same rows twice makes records of the same ids, so that a store takes them once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from textgym.dialogues import Messages, RenderChat, message_text, render_messages
from textgym.feedback.checks import check_fraction
from textgym.feedback.record_json import to_line
from textgym.feedback.records import (
    Comparison,
    Correction,
    Demonstration,
    FeedbackRecord,
    Ranking,
    Score,
)
from textgym.feedback.responses import Annotator, PromptText, Response

Row = Mapping[str, Any]


def preference_rows(
    records: Iterable[FeedbackRecord], *, conversational: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield `prompt`, `chosen`, `rejected` of every comparison, those within rankings included.

    The format knows no ties: they are left out, like records of other kinds.

    Args:
        records: Records of any kind.
        conversational: Write lists of messages instead of text.

    Raises:
        ValueError: A stretch of a trajectory, which has no text; so from the other formats too.
    """
    for record in records:
        pairs: Sequence[Comparison] = ()
        if isinstance(record, Comparison):
            pairs = (record,)
        elif isinstance(record, Ranking):
            pairs = record.comparisons()
        for pair in pairs:
            if not pair.is_tie:
                yield {
                    "prompt": _prompt_out(pair.prompt, conversational),
                    "chosen": _response_out(pair.chosen, conversational),
                    "rejected": _response_out(pair.rejected, conversational),
                }


def unpaired_rows(
    records: Iterable[FeedbackRecord], *, threshold: float = 0.5, conversational: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield `prompt`, `completion`, `label` of every score of a whole response.

    Args:
        records: Records of any kind; others than scores are left out.
        threshold: The label is True for scores of at least this, in [0, 1].
        conversational: Write lists of messages instead of text.
    """
    check_fraction("threshold", threshold)
    for record in records:
        if not isinstance(record, Score):
            continue
        if record.span is None and record.action_index is None:
            yield {
                "prompt": _prompt_out(record.prompt, conversational),
                "completion": _response_out(record.response, conversational),
                "label": bool(record.value >= threshold),
            }


def supervised_rows(
    records: Iterable[FeedbackRecord], *, conversational: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield `prompt`, `completion` of every demonstration and of every better whole response.

    Args:
        records: Records of any kind; others, and corrections of single actions, are left out
            (`taught_actions` has those).
        conversational: Write lists of messages instead of text.
    """
    for record in records:
        better: Response | None = None
        if isinstance(record, Demonstration):
            better = record.response
        elif isinstance(record, Correction):
            better = record.better
        if better is not None:
            yield {
                "prompt": _prompt_out(better.prompt, conversational),
                "completion": _response_out(better, conversational),
            }


def comparisons_from_rows(
    rows: Iterable[Row], annotator: Annotator, *, render_chat: RenderChat | None = None
) -> Iterator[Comparison]:
    """Yield a comparison for each row of the preference format.

    Rows with `chosen` and `rejected` alone hold the prompt in both, as messages: their common
    beginning is the prompt.

    Args:
        rows: Rows of a file.
        annotator: To whom the judgements are credited.
        render_chat: Renders the messages before a reply; the plain Human/Assistant form where
            None.

    Raises:
        ValueError: A row without these columns or with values of other types; names the row.
    """
    ids = RowIds(annotator)
    for number, row in enumerate(rows):
        try:
            prompt_data, chosen, rejected = _split_implicit_prompt(row)
            prompt = prompt_in(prompt_data, render_chat)
            yield Comparison(
                annotator=annotator,
                record_id=ids.next(row),
                chosen=Response(prompt=prompt, text=_text_in("chosen", chosen)),
                rejected=Response(prompt=prompt, text=_text_in("rejected", rejected)),
            )
        except ValueError as error:
            raise ValueError(f"row {number}: {error}") from error


def scores_from_rows(
    rows: Iterable[Row], annotator: Annotator, *, render_chat: RenderChat | None = None
) -> Iterator[Score]:
    """Yield a score for each row of the unpaired format: 1 for the label True, 0 for False.

    Arguments and errors as `comparisons_from_rows`.
    """
    ids = RowIds(annotator)
    for number, row in enumerate(rows):
        try:
            prompt = prompt_in(_column(row, "prompt"), render_chat)
            label = _column(row, "label")
            if label not in (True, False):
                raise ValueError(f"label must be true or false, got {label!r}")
            text = _text_in("completion", _column(row, "completion"))
            yield Score(
                annotator=annotator,
                record_id=ids.next(row),
                response=Response(prompt=prompt, text=text),
                value=float(label),
            )
        except ValueError as error:
            raise ValueError(f"row {number}: {error}") from error


class RowIds:
    """Record ids that depend on the row's content, its annotator and how often it came before."""

    def __init__(self, annotator: Annotator) -> None:
        """Make ids of what `annotator` said."""
        self._annotator = annotator
        self._seen: Counter[str] = Counter()

    def next(self, row: Row) -> str:
        """Return the id of the record that this row makes."""
        content = f"{self._annotator.id}\n{to_line(dict(row))}"
        self._seen[content] += 1
        return hashlib.sha256(f"{self._seen[content]}\n{content}".encode()).hexdigest()[:32]


def _split_implicit_prompt(row: Row) -> tuple[Any, Any, Any]:
    chosen, rejected = _column(row, "chosen"), _column(row, "rejected")
    if "prompt" in row:
        return row["prompt"], chosen, rejected
    if not (_is_messages(chosen) and _is_messages(rejected)):
        raise ValueError(f"a row of text needs 'prompt', got the columns {sorted(row)}")
    common = 0
    while common < min(len(chosen), len(rejected)) and chosen[common] == rejected[common]:
        common += 1
    if common < 1 or len(chosen) != common + 1 or len(rejected) != common + 1:
        raise ValueError(
            f"chosen and rejected must be the same messages but for the last, got {len(chosen)} "
            f"and {len(rejected)} messages with {common} in common"
        )
    return chosen[:common], chosen[common:], rejected[common:]


def _column(row: Row, name: str) -> Any:
    if name not in row:
        raise ValueError(f"there is no column {name!r}, only {sorted(row)}")
    return row[name]


def _is_messages(data: Any) -> bool:
    return isinstance(data, list | tuple) and all(isinstance(item, Mapping) for item in data)


def prompt_in(data: Any, render_chat: RenderChat | None) -> PromptText:
    """Return the prompt that a text, or a list of messages before a reply, is."""
    if isinstance(data, str):
        return PromptText(text=data)
    if not _is_messages(data) or not data:
        raise ValueError(f"prompt must be text or a list of messages, got {data!r}")
    messages = tuple((str(message.get("role", "")), message_text(message)) for message in data)
    return PromptText(text=render_messages(data, render_chat), messages=messages)


def _text_in(name: str, data: Any) -> str:
    if isinstance(data, str):
        return data
    if not _is_messages(data) or len(data) != 1:
        raise ValueError(f"{name} must be text or a list of one message, got {data!r}")
    return message_text(data[0])


def _prompt_out(prompt: PromptText, conversational: bool) -> str | Messages:
    if not conversational:
        return prompt.text
    pairs = prompt.messages or (("user", prompt.text),)
    return [{"role": role, "content": content} for role, content in pairs]


def _response_out(response: Response, conversational: bool) -> str | Messages:
    if response.segment is not None and not response.text:
        raise ValueError(
            "expected responses of text, got a stretch of a trajectory: TRL's formats have no "
            "place for it; export records, or demonstrations and corrections as actions"
        )
    if not conversational:
        return response.text
    return [{"role": "assistant", "content": response.text}]
