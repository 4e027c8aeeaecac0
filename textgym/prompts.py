"""Sources of prompts. Item i of a source is a pure function of what the source was built with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from textgym.types import Prompt


@runtime_checkable
class PromptSource(Protocol):
    """Prompts by index: `len(source)`, and `source[prompt_id]`, a pure function."""

    def __len__(self) -> int:
        """Return the number of prompts."""
        ...

    def __getitem__(self, prompt_id: int) -> Prompt:
        """Return prompt `prompt_id`, in [0, len)."""
        ...


class PromptList:
    """Prompts held in memory."""

    def __init__(self, items: Iterable[str | Prompt | Mapping[str, Any]]) -> None:
        """Take strings, mappings (`prompt`, optional `reference` or `references`) or prompts.

        Items are numbered from 0 in the order given.

        Raises:
            ValueError: An item of another type, or a mapping without `prompt`.
        """
        self._prompts = tuple(_as_prompt(index, item) for index, item in enumerate(items))

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self._prompts)

    def __getitem__(self, prompt_id: int) -> Prompt:
        """Return one prompt."""
        return self._prompts[prompt_id]


class TemplatePrompts:
    """Another source's prompts, rendered into a template."""

    def __init__(self, source: PromptSource, template: str) -> None:
        """Wrap `source`; `template` holds `{prompt}` and optionally names of facts.

        Raises:
            ValueError: The template does not hold `{prompt}`.
        """
        if "{prompt}" not in template:
            raise ValueError(f"prompt_template must contain '{{prompt}}', got {template!r}")
        self._source, self._template = source, template

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self._source)

    def __getitem__(self, prompt_id: int) -> Prompt:
        """Return one prompt, rendered.

        Raises:
            ValueError: The template names a column that the item lacks.
        """
        prompt = self._source[prompt_id]
        values = {**prompt.facts, "prompt": prompt.text}

        def fill(match: re.Match[str]) -> str:
            if match[1] not in values:
                raise ValueError(
                    f"prompt_template names {match[0]!r}, but prompt {prompt_id} has the columns "
                    f"{sorted(values)}"
                )
            return str(values[match[1]])

        # One pass and no str.format: posts contain braces of their own.
        text = re.sub(r"\{(\w+)\}", fill, self._template)
        return replace(prompt, text=text, messages=())  # what the template adds is in no message


def check_prompts(source: Any, described_as: str) -> PromptSource:
    """Return `source` as a prompt source: itself, or a list of items wrapped.

    Args:
        source: A `PromptSource`, or a sequence of strings, mappings or prompts.
        described_as: How error messages name it.

    Raises:
        ValueError: Neither of both, or empty.
    """
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes)):
        source = PromptList(source)
    if not isinstance(source, PromptSource) or isinstance(source, (str, bytes, Mapping)):
        raise ValueError(
            f"{described_as} must give prompts: a list of strings, dicts or Prompts, or an object "
            f"with __len__ and __getitem__; got {type(source).__name__}"
        )
    if len(source) == 0:
        raise ValueError(f"{described_as} holds no prompts, expected at least one")
    return source


def _as_prompt(prompt_id: int, item: str | Prompt | Mapping[str, Any]) -> Prompt:
    if isinstance(item, Prompt):
        return replace(item, prompt_id=prompt_id)
    if isinstance(item, str):
        return Prompt(prompt_id=prompt_id, text=item)
    if isinstance(item, Mapping):
        return prompt_from_columns(prompt_id, item)
    raise ValueError(
        f"prompt {prompt_id} must be a string, a dict or a Prompt, got {type(item).__name__}"
    )


def prompt_from_columns(prompt_id: int, columns: Mapping[str, Any]) -> Prompt:
    """Make a prompt of a mapping with `prompt`, optional `reference(s)`; the rest become facts.

    A list of strings as `prompt` is joined by a space; as `reference`, it gives several. A list of
    lists of strings (triples of a record) becomes a line "a | b | c" each.

    Raises:
        ValueError: `prompt` is missing, or is no text.
    """
    if "prompt" not in columns:
        raise ValueError(f"prompt {prompt_id} has no column 'prompt'; it has {sorted(columns)}")
    references = columns.get("references", columns.get("reference"))
    rest = {k: v for k, v in columns.items() if k not in ("prompt", "reference", "references")}
    return Prompt(
        prompt_id=prompt_id,
        text=_text(prompt_id, "prompt", columns["prompt"]),
        references=_texts(prompt_id, references),
        facts=rest,
    )


def _text(prompt_id: int, column: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if _is_row(value):
        return " ".join(value)
    if isinstance(value, (list, tuple)) and all(_is_row(part) for part in value):
        return "\n".join(" | ".join(row) for row in value)
    raise ValueError(
        f"prompt {prompt_id}: column {column!r} must be a string or a list of strings, "
        f"got {type(value).__name__}"
    )


def _is_row(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value)


def _texts(prompt_id: int, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_text(prompt_id, "reference", part) for part in values)
