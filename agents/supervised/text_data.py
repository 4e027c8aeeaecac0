"""Prompts with responses for supervised fine-tuning: from prompt sources, files and dialogues."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from textgym.dataset_files import Row, column_value, parse_columns, read_rows
from textgym.dialogues import RenderChat, message_text, render_messages, split_dialogue
from textgym.file_prompts import texts_of_split
from textgym.types import Prompt


@dataclass(frozen=True, kw_only=True)
class TextPair:
    """A prompt and a response that followed it.

    Attributes:
        prompt: Exactly what is tokenised as the prompt.
        response: Exactly what is tokenised after it (the space in front included); the end token
            is no part of it. Never empty.
        others: Parts [start, end) of the response in characters that somebody else said, in order
            and apart: context that is not learned.
        ends_turns: Whether each turn between them ends with an end token, as a response does.
    """

    prompt: str
    response: str
    others: tuple[tuple[int, int], ...] = ()
    ends_turns: bool = True

    def __post_init__(self) -> None:
        """Reject an empty response, which would teach to say nothing, and parts out of order."""
        if not self.response.strip():
            raise ValueError(f"response must hold text, got {self.response!r} for {self.prompt!r}")
        places = [0, *(place for part in self.others for place in part), len(self.response)]
        if places != sorted(places):
            raise ValueError(
                f"others must be parts of a response of {len(self.response)} characters, in order, "
                f"got {self.others!r}"
            )

    @property
    def turns(self) -> tuple[tuple[bool, str], ...]:
        """The response cut into turns: whether it is to be learned, and its text, never empty."""
        found: list[tuple[bool, str]] = []
        start = 0
        for first, last in self.others:
            found += [(True, self.response[start:first]), (False, self.response[first:last])]
            start = last
        found.append((True, self.response[start:]))
        return tuple((is_own, text) for is_own, text in found if text)


class Source(Protocol):
    """What is needed of a prompt source."""

    def __len__(self) -> int:
        """Return the number of prompts."""
        ...

    def __getitem__(self, prompt_id: int, /) -> Prompt:
        """Return one prompt."""
        ...


def pairs_from_prompts(
    source: Source, prompt_ids: Iterable[int] | None = None, *, others: str = ""
) -> list[TextPair]:
    """One pair per human reference of the given prompts (all prompts where None).

    Args:
        source: Prompts with references.
        prompt_ids: Which of them.
        others: A regular expression of what somebody else says inside a reference, "" for nothing;
            see `TextPair.others`.

    Raises:
        ValueError: None of the prompts has a reference.
    """
    ids = range(len(source)) if prompt_ids is None else prompt_ids
    prompts = [source[i] for i in ids]
    pairs = [
        conversation_pair(prompt.text, spaced(prompt.text, reference), others)
        for prompt in prompts
        for reference in prompt.references
    ]
    if not pairs:
        raise ValueError(f"expected prompts with references, got none in {len(prompts)} prompts")
    return pairs


def conversation_pair(prompt: str, response: str, others: str) -> TextPair:
    """Return a pair whose `others` are what the regular expression finds in the response."""
    spans = tuple(match.span() for match in re.finditer(others, response)) if others else ()
    return TextPair(prompt=prompt, response=response, others=spans)


def symbol_pair(prompt: str, response: str, symbols: Sequence[str]) -> TextPair:
    """Return a pair of which only the symbols are learned: somebody else said all between them."""
    own = re.compile("|".join(re.escape(symbol) for symbol in symbols))
    ends = [0, *(place for found in own.finditer(response) for place in found.span())]
    gaps = zip(ends[::2], [*ends[1::2], len(response)], strict=True)
    others = tuple((start, end) for start, end in gaps if start < end)
    return TextPair(prompt=prompt, response=response, others=others, ends_turns=False)


def load_text_pairs(
    dataset: str | Path,
    *,
    columns: str | None = None,
    template: str | None = None,
    render_chat: RenderChat | None = None,
    splits: Sequence[str] | None = None,
) -> list[TextPair]:
    r"""Read pairs from a file, a folder of `datasets`, or `hf:org/name`.

    Without `columns` the format is recognised: rows with `prompt` and `response` (or
    `completion`); rows with `chosen` alone, a whole dialogue, which is cut behind its last
    "\n\nAssistant:"; rows with `messages`, whose last message is the response.

    Args:
        dataset: JSONL, JSONL.gz, a folder saved by `datasets`, or `hf:org/name[:split]`.
        columns: `"prompt=source,response=target"`. A column that holds a list of strings is
            joined with spaces for a prompt; each string of a response's list makes a pair.
        template: Text around the prompt, for example `"{prompt}\n\nTL;DR:"`.
        render_chat: Renders messages and dialogues; the plain Human/Assistant form where None.
        splits: Only rows whose prompt an environment with this `dataset` has in these splits, so
            that its held-out prompts stay unseen in training; None for all rows.

    Raises:
        ValueError: Unknown columns (the message lists those there are), no rows, or an unknown
            split.
    """
    mapping = parse_columns(columns, ("prompt", "response")) if columns else None
    found = [
        pair
        for number, row in enumerate(read_rows(dataset))
        for pair in _pairs_of(row, mapping, number, render_chat)
    ]
    kept = prompts_of_splits([prompt for prompt, _ in found], splits)
    pairs: list[TextPair] = []
    for bare, response in found:
        prompt = template.replace("{prompt}", bare) if template else bare
        if bare in kept and response.strip():  # public files hold a few empty replies
            pairs.append(TextPair(prompt=prompt, response=spaced(prompt, response)))
    if not pairs:
        raise ValueError(f"expected prompts with responses, got none in {str(dataset)!r}")
    return pairs


def prompts_of_splits(prompts: Sequence[str], splits: Sequence[str] | None) -> set[str]:
    """Return the prompts that an environment has in any of `splits`; all of them where None.

    Raises:
        ValueError: An unknown split.
    """
    if splits is None:
        return set(prompts)
    return set().union(*(texts_of_split(prompts, split) for split in splits))


def spaced(prompt: str, response: str) -> str:
    """Put one space before a response where neither side has white space at the seam."""
    seam = (prompt[-1:] or " ") + (response[:1] or " ")
    return response if seam[0].isspace() or seam[1].isspace() else " " + response


def _pairs_of(
    row: Row, mapping: Mapping[str, str] | None, number: int, render_chat: RenderChat | None
) -> Iterator[tuple[str, str]]:
    mapping = mapping or _recognised(row, number)
    if "dialogue" in mapping:
        yield split_dialogue(row["chosen"], render_chat)
        return
    if "messages" in mapping:
        messages = row["messages"]
        yield render_messages(messages[:-1], render_chat), message_text(messages[-1])
        return
    for name in ("prompt", "response"):
        if name not in mapping:
            raise ValueError(f"columns must name {name!r}, got {dict(mapping)!r}")
    prompt = _prompt_text(column_value(row, mapping["prompt"], number), render_chat)
    for response in _texts(column_value(row, mapping["response"], number)):
        yield prompt, response


def _recognised(row: Row, number: int) -> dict[str, str]:
    for response in ("response", "completion"):
        if "prompt" in row and response in row:
            return {"prompt": "prompt", "response": response}
    if isinstance(row.get("messages"), list):
        return {"messages": "messages"}
    if isinstance(row.get("chosen"), str):
        if "prompt" in row:
            return {"prompt": "prompt", "response": "chosen"}
        return {"dialogue": "chosen"}
    raise ValueError(
        f"row {number}: expected the columns 'prompt' and 'response', 'messages' or 'chosen', or "
        f"columns='prompt=…,response=…'; it has {sorted(row)!r}"
    )


def _prompt_text(value: Any, render_chat: RenderChat | None) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return render_messages(value, render_chat)
    return " ".join(_texts(value)) if isinstance(value, list) else str(value)


def _texts(value: Any) -> list[str]:
    """Return the texts of a string, a message, or a list of either."""
    if isinstance(value, Mapping):
        return [message_text(value)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)]
