"""From a prompt to the ids that a row starts with, and from reset options to prompts."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textgym.prompts import PromptSource
from textgym.tokenizer import Tokenizer
from textgym.types import Prompt

CUSTOM_PROMPT_ID = -1
MAX_SHOWN = 8  # prompts of a task that an error message lists
OPTIONS = ("prompt_id", "prompt", "reset_mask")


class PromptEncoder:
    """Token ids of prompts, at most `max_prompt_tokens` of them."""

    def __init__(self, tokenizer: Tokenizer, max_prompt_tokens: int, overflow: str) -> None:
        """Keep the limit; `overflow` is "truncate" or "error"."""
        self._tokenizer, self._limit, self._overflow = tokenizer, max_prompt_tokens, overflow

    def encode(self, prompt: Prompt) -> list[int]:
        """Return the ids of a prompt, 1 to `max_prompt_tokens` of them.

        A prompt that is too long loses whole lines from the left, and where the last line alone is
        too long, tokens from its left; with overflow "error" it is refused.

        Raises:
            ValueError: Too long (by choice), or no tokens at all.
        """
        return self.encode_all([prompt])[0]

    def encode_all(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Return `encode` of each prompt; texts that are the same are encoded once."""
        texts = list(dict.fromkeys(prompt.text for prompt in prompts))
        ids = dict(zip(texts, self._tokenizer.encode_batch(texts), strict=True))
        return [self._fitted(prompt, ids[prompt.text]) for prompt in prompts]

    def _fitted(self, prompt: Prompt, ids: list[int]) -> list[int]:
        if not ids:
            raise ValueError(
                f"prompt {prompt.prompt_id} encodes to no tokens, expected at least one; "
                f"text {prompt.text!r}"
            )
        if len(ids) <= self._limit:
            return ids
        if self._overflow == "error":
            raise ValueError(
                f"prompt {prompt.prompt_id} has {len(ids)} tokens, expected at most "
                f"max_prompt_tokens={self._limit}: raise it, or pass prompt_overflow='truncate'"
            )
        return self._cut(prompt.text)

    def _cut(self, text: str) -> list[int]:
        lines = text.splitlines(keepends=True)
        for start in range(1, len(lines)):
            ids = self._tokenizer.encode("".join(lines[start:]).lstrip("\n"))
            if 0 < len(ids) <= self._limit:
                return ids
        return self._tokenizer.encode(text)[-self._limit :]


class PromptChooser:
    """Turns reset options into prompts."""

    def __init__(
        self,
        source: PromptSource,
        tokenizer: Tokenizer,
        facts_for: str | None = None,
        *,
        only_of_source: bool = False,
    ) -> None:
        """Keep where prompts come from and who renders chats.

        Args:
            source: Has the prompts.
            tokenizer: Renders chats.
            facts_for: The reward that could not score a response to a prompt of somebody's own,
                which is then refused; None where it can.
            only_of_source: Whether a prompt of somebody's own must have the text of one of the
                source, which is then small.
        """
        self._source, self._tokenizer, self._facts_for = source, tokenizer, facts_for
        self._texts: list[str] | None = None
        if only_of_source:
            self._texts = [source[index].text for index in range(len(source))]

    def draw(self, generator: np.random.Generator) -> Prompt:
        """Return a uniformly drawn prompt; one draw of the generator."""
        return self._source[int(generator.integers(len(self._source)))]

    def chosen(self, options: Mapping[str, Any] | None, num_rows: int) -> list[Prompt | None]:
        """Return one prompt per row, None where the row draws its own.

        Args:
            options: `prompt_id` (an int, or N of them) or `prompt` (a text, a chat as a list of
                messages, or N of either); None or neither to draw.
            num_rows: N.

        Raises:
            ValueError: Unknown options, both options, a wrong number of rows, an id out of range,
                something that is no prompt, a prompt that the reward could not score, or one that
                the task does not have.
        """
        options = options or {}
        self._check_names(options)
        if options.get("prompt_id") is not None:
            return self._by_ids(_per_row("prompt_id", options["prompt_id"], num_rows))
        if options.get("prompt") is not None:
            return [self._custom(p) for p in _per_row("prompt", options["prompt"], num_rows)]
        return [None] * num_rows

    def _check_names(self, options: Mapping[str, Any]) -> None:
        for name in options:
            if name not in OPTIONS:
                near = difflib.get_close_matches(str(name), OPTIONS, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f", expected one of {OPTIONS}"
                raise ValueError(f"unknown reset option {name!r}{hint}")
        if options.get("prompt_id") is not None and options.get("prompt") is not None:
            raise ValueError("expected one of the reset options 'prompt_id' and 'prompt', got both")

    def _by_ids(self, prompt_ids: list[Any]) -> list[Prompt | None]:
        # Neighbours often share their prompt, which may take a while to write.
        found: list[Prompt | None] = []
        for row, prompt_id in enumerate(prompt_ids):
            is_index = isinstance(prompt_id, np.integer)  # of an array, so all of them are
            is_same = row > 0 and is_index and prompt_id == prompt_ids[row - 1]
            found.append(found[-1] if is_same else self._by_id(prompt_id))
        return found

    def _by_id(self, prompt_id: Any) -> Prompt | None:
        if prompt_id is None:
            return None
        is_index = isinstance(prompt_id, (int, np.integer)) and not isinstance(prompt_id, bool)
        if not is_index or not 0 <= prompt_id < len(self._source):
            raise ValueError(
                f"prompt_id must be an integer in [0, {len(self._source)}), got {prompt_id!r}"
            )
        return self._source[int(prompt_id)]

    def _custom(self, prompt: Any) -> Prompt | None:
        if prompt is None:
            return None
        if self._facts_for is not None:
            raise ValueError(
                f"reward={self._facts_for!r} reads facts or references that a prompt of one's "
                f"own has not: expected prompt_id=..., or another reward, got prompt={prompt!r}"
            )
        made = self._made(prompt)
        if self._texts is not None and made.text not in self._texts:
            known = ", ".join(map(repr, self._texts[:MAX_SHOWN]))
            raise ValueError(
                f"expected the text of one of this task's {len(self._texts)} prompts ({known}"
                f"{', ...' if len(self._texts) > MAX_SHOWN else ''}), got prompt={prompt!r}"
            )
        return made

    def _made(self, prompt: Any) -> Prompt:
        """Return the prompt of a text or a chat."""
        if isinstance(prompt, str):
            return Prompt(prompt_id=CUSTOM_PROMPT_ID, text=prompt)
        if _is_chat(prompt):
            text = self._tokenizer.render_chat(prompt)
            is_text = all(isinstance(message.get("content"), str) for message in prompt)
            messages = tuple(map(dict, prompt)) if is_text else ()
            return Prompt(prompt_id=CUSTOM_PROMPT_ID, text=text, messages=messages)
        raise ValueError(
            f"a prompt must be a text or a list of messages with 'role' and 'content', "
            f"got {prompt!r}"
        )


def _is_chat(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(message, Mapping) for message in value)
    )


def _per_row(name: str, value: Any, num_rows: int) -> list[Any]:
    is_one = isinstance(value, (str, int, np.integer, Mapping)) or _is_chat(value)
    if is_one:
        return [value] * num_rows
    values = list(value) if isinstance(value, (Sequence, np.ndarray)) else None
    if values is None or len(values) != num_rows:
        raise ValueError(
            f"reset option {name!r} must be one value or {num_rows} of them, got {value!r}"
        )
    return values
