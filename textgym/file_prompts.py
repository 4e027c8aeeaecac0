"""Prompts from data files, cut into splits that share no prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from textgym.config import SPLITS
from textgym.dataset_files import Row, column_value, columns_hint, parse_columns, read_rows
from textgym.dialogues import (
    ASSISTANT_MARK,
    RenderChat,
    dialogue_messages,
    plain_messages,
    render_messages,
    split_dialogue,
)
from textgym.prompts import PromptList, prompt_from_columns
from textgym.types import Prompt

COLUMN_NAMES = ("prompt", "reference", "dialogue", "messages")
REFERENCE_COLUMNS = ("reference", "references", "response", "completion")
HELD_OUT_FRACTION = 0.1
MIN_PROMPTS_TO_SPLIT = 20


class FilePrompts(PromptList):
    """A split of the prompts in a file, a folder of `datasets`, or `hf:org/name`."""

    def __init__(
        self,
        dataset: str | Path,
        *,
        split: str = "train",
        columns: str | None = None,
        render_chat: RenderChat | None = None,
        names: Sequence[str] = (),
        usual_columns: str | None = None,
        needs: Sequence[str] = ("reference",),
    ) -> None:
        r"""Read the prompts of one split.

        Args:
            dataset: See `dataset_files.read_rows`.
            split: See `take_split`.
            columns: `"prompt=source,reference=target"`. `prompt` may be text, a list of texts
                (joined by a space) or of chat messages; `reference` one text or several.
                `dialogue=COLUMN` cuts a whole dialogue behind its last "\n\nAssistant:";
                `messages=COLUMN` takes the last message as the reference. None recognises the
                columns `prompt`, `messages`, and `chosen` (a whole dialogue).
            render_chat: Renders chat messages and dialogues; None for the plain Human/Assistant
                form.
            names: What `columns` may map beside these, to facts of that name.
            usual_columns: A mapping for rows that have its columns and none of those recognised.
            needs: What has to be mapped beside the prompt, for messages.

        Raises:
            FileNotFoundError: No such file.
            ValueError: No rows, or a missing column (the message lists those there are).
        """
        allowed = (*COLUMN_NAMES, *names)
        mapping = parse_columns(columns, allowed) if columns else None
        usual = parse_columns(usual_columns, allowed) if usual_columns else {}
        prompts = [
            _prompt_of(row, mapping or _recognised(row, number, usual, needs), number, render_chat)
            for number, row in enumerate(read_rows(dataset))
        ]
        if not prompts:
            raise ValueError(f"the dataset {str(dataset)!r} is empty, expected at least one row")
        super().__init__(take_split(prompts, split))


def take_split(prompts: Sequence[Prompt], split: str) -> list[Prompt]:
    """Return the prompts of one split (see `texts_of_split`), numbered from 0.

    Raises:
        ValueError: An unknown split.
    """
    own = texts_of_split((prompt.text for prompt in prompts), split)
    kept = [prompt for prompt in prompts if prompt.text in own]
    return [replace(prompt, prompt_id=index) for index, prompt in enumerate(kept)]


def texts_of_split(texts: Iterable[str], split: str) -> set[str]:
    """Return the texts that belong to one split.

    A tenth of the distinct texts, drawn by their hash, is "validation", another tenth "test"; so a
    text is always in the same split, in whatever order the file has them. With fewer than 20
    distinct texts every split holds all of them.

    Raises:
        ValueError: An unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
    ordered = sorted(set(texts), key=_hash)
    if len(ordered) < MIN_PROMPTS_TO_SPLIT:
        return set(ordered)
    held_out = round(len(ordered) * HELD_OUT_FRACTION)
    parts = {
        "validation": ordered[:held_out],
        "test": ordered[held_out : 2 * held_out],
        "train": ordered[2 * held_out :],
    }
    return set(parts[split])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _recognised(
    row: Row, number: int, usual: Mapping[str, str], needs: Sequence[str]
) -> Mapping[str, str]:
    if "prompt" in row:
        references = [name for name in REFERENCE_COLUMNS if name in row]
        return {"prompt": "prompt", **({"reference": references[0]} if references else {})}
    if isinstance(row.get("messages"), list):
        return {"messages": "messages"}
    if isinstance(row.get("chosen"), str):
        return {"dialogue": "chosen"}
    if usual and all(column.split(".")[0] in row for column in usual.values()):
        return usual
    raise ValueError(
        f"row {number} has no column 'prompt'; it has {sorted(row)}; say which is which with "
        f"{columns_hint(needs)}"
    )


def _prompt_of(
    row: Row, mapping: Mapping[str, str], number: int, render_chat: RenderChat | None
) -> Prompt:
    rest = {name: value for name, value in row.items() if name not in mapping.values()}
    if "dialogue" in mapping:
        dialogue = column_value(row, mapping["dialogue"], number)
        prompt, reply = split_dialogue(dialogue, render_chat)
        before = dialogue_messages(dialogue[: dialogue.rfind(ASSISTANT_MARK)])
        columns = {**rest, "prompt": prompt, "reference": reply.strip()}
        return replace(prompt_from_columns(number, columns), messages=tuple(before))
    if "messages" in mapping:
        messages = column_value(row, mapping["messages"], number)
        value = {"prompt": messages[:-1], "reference": messages[-1].get("content")}
    else:
        if "prompt" not in mapping:
            raise ValueError(f"dataset_columns must name 'prompt', got {dict(mapping)}")
        value = {name: column_value(row, column, number) for name, column in mapping.items()}
    prompt, rest = value["prompt"], _without_roles(rest)
    if not (isinstance(prompt, list) and prompt and isinstance(prompt[0], Mapping)):
        return prompt_from_columns(number, {**rest, **value})
    columns = {**rest, **value, "prompt": render_messages(prompt, render_chat)}
    return replace(prompt_from_columns(number, columns), messages=tuple(plain_messages(prompt)))


def _without_roles(rest: Mapping[str, Any]) -> dict[str, Any]:
    """Drop columns whose names the mapping gave to others."""
    return {k: v for k, v in rest.items() if k not in ("prompt", "reference", "references")}
