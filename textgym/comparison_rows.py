"""One row of comparison data, in any of the forms that public files have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from textgym.dataset_files import Row, column_value
from textgym.dialogues import (
    RenderChat,
    message_text,
    render_dialogue,
    render_messages,
    split_dialogue,
)


class Judgement(NamedTuple):
    """What a row says.

    Attributes:
        prompt: Rendered as text.
        chosen: The better response; of a tie, the first.
        rejected: The other one.
        label: 1 or 2, which was the better one, or 0 for a tie; None where the columns say it.
    """

    prompt: str
    chosen: str
    rejected: str
    label: int | None


def judgement_of(
    row: Row, mapping: Mapping[str, str], number: int, render_chat: RenderChat | None
) -> Judgement:
    """Read a row.

    Args:
        row: Of a file.
        mapping: Names to columns: prompt, chosen, rejected; or prompt, first, second, label.
            Without any, the form is recognised, see `preference_data.load_preferences`.
        number: The row's, for errors.
        render_chat: Renders messages and dialogues; the plain Human/Assistant form where None.

    Raises:
        ValueError: A missing column, or an unknown label.
    """
    if "label" in mapping or "first" in mapping or "second" in mapping:
        return _labelled(row, mapping, number, render_chat)
    chosen = column_value(row, mapping.get("chosen", "chosen"), number)
    rejected = column_value(row, mapping.get("rejected", "rejected"), number)
    if "prompt" in mapping or "prompt" in row:
        prompt = prompt_text(
            column_value(row, mapping.get("prompt", "prompt"), number), render_chat
        )
        return Judgement(prompt, response_text(chosen), response_text(rejected), None)
    if isinstance(chosen, list):
        return Judgement(*_common_messages(chosen, rejected, number, render_chat), None)
    prompt, good = split_dialogue(chosen)
    other_prompt, bad = split_dialogue(rejected)
    if prompt != other_prompt:  # a few dialogues of HH part earlier: compare from there on
        prompt, good, bad = _common_turns(chosen, rejected)
    if render_chat is not None:
        prompt, good, bad = render_dialogue(prompt, render_chat), good.strip(), bad.strip()
    return Judgement(prompt, good, bad, None)


def _labelled(
    row: Row, mapping: Mapping[str, str], number: int, render_chat: RenderChat | None
) -> Judgement:
    missing = [name for name in ("prompt", "first", "second", "label") if name not in mapping]
    if missing:
        raise ValueError(f"columns must also name {missing!r}, got {dict(mapping)!r}")
    first = response_text(column_value(row, mapping["first"], number))
    second = response_text(column_value(row, mapping["second"], number))
    prompt = prompt_text(column_value(row, mapping["prompt"], number), render_chat)
    label = label_of(column_value(row, mapping["label"], number), mapping, number)
    if label == 2:
        return Judgement(prompt, second, first, label)
    return Judgement(prompt, first, second, label)


def label_of(value: Any, mapping: Mapping[str, str], number: int) -> int:
    """Return which was better, 1 or 2, or 0 for a tie.

    Args:
        value: One of these numbers, "first", "second" or "tie", or the name of a column.
        mapping: Names the columns "first" and "second".
        number: The row's, for errors.
    """
    known: dict[Any, int] = {0: 0, 1: 1, 2: 2, "0": 0, "1": 1, "2": 2}
    known.update({"tie": 0, "first": 1, "second": 2, mapping["first"]: 1, mapping["second"]: 2})
    key = value.strip() if isinstance(value, str) else value
    if isinstance(key, bool) or not isinstance(key, (str, int, float)) or key not in known:
        raise ValueError(f"row {number}: label must be one of {list(known)!r}, got {value!r}")
    return known[key]


def _common_messages(
    chosen: list[Any], rejected: Any, number: int, render_chat: RenderChat | None
) -> tuple[str, str, str]:
    if not isinstance(rejected, list) or not chosen or chosen[:-1] != rejected[:-1]:
        raise ValueError(
            f"row {number}: expected chosen and rejected to be message lists that differ in the "
            f"last message only, got {len(chosen)} messages and {str(rejected)[:60]!r}"
        )
    prompt = render_messages(chosen[:-1], render_chat)
    return prompt, message_text(chosen[-1]), message_text(rejected[-1])


def _common_turns(chosen: str, rejected: str) -> tuple[str, str, str]:
    same = 0
    while same < min(len(chosen), len(rejected)) and chosen[same] == rejected[same]:
        same += 1
    prompt, _ = split_dialogue(chosen[:same])
    return prompt, chosen[len(prompt) :], rejected[len(prompt) :]


def prompt_text(value: Any, render_chat: RenderChat | None) -> str:
    """Return a prompt as text: messages rendered, a list of texts joined with spaces."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return render_messages(value, render_chat)
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def response_text(value: Any) -> str:
    """Return a response as text: of messages, what the last one says."""
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        return message_text(value[-1])
    return "" if value is None else str(value)
