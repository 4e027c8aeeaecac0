"""What a text reward model reads of each thing that was judged: token ids, prompt and response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textgym.agents.reward_learning.labels import Judged
from textgym.agents.supervised.text_data import spaced
from textgym.feedback.responses import PromptText, Response, Span
from textgym.tokenizer import Tokenizer, end_token

TokenIds = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TextReading:
    """How a text is read.

    Attributes:
        max_prompt_tokens: Longer prompts lose their beginning.
        max_response_tokens: Longer responses lose their end, end token included.
        use_token_ids: Read the ids that records hold. False where they are another tokenizer's:
            the text is encoded instead.
    """

    max_prompt_tokens: int = 512
    max_response_tokens: int = 128
    use_token_ids: bool = True

    def __post_init__(self) -> None:
        """Reject lengths below 1."""
        for name in ("max_prompt_tokens", "max_response_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")


class ItemEncoder:
    """Encodes what was judged.

    A part of a response is read at its last token, behind all that stands before it: a causal model
    has seen the part then and nothing after it. Where that is longer than a response may be, it
    loses its beginning.
    """

    def __init__(self, tokenizer: Tokenizer, reading: TextReading) -> None:
        """Read by `tokenizer`, the reward model's own."""
        self._tokenizer, self._reading = tokenizer, reading

    def encode(self, items: Sequence[Judged]) -> list[tuple[TokenIds, TokenIds]]:
        """Return prompt and response of each, each response at least one token.

        Raises:
            ValueError: A trajectory without text, an empty response, token ids that the tokenizer
                does not have, or a part counted in tokens of a response without ids.
        """
        return [(self.prompt(i.response.prompt), self._response(i)) for i in items]

    def prompt(self, prompt: PromptText) -> TokenIds:
        """Return the ids of a prompt, at least one."""
        known = prompt.token_ids if self._reading.use_token_ids else ()
        ids = self._checked(known) or tuple(self._tokenizer.encode(prompt.text))
        # A part of an empty prompt's response must have something to stand behind, too.
        return ids[-self._reading.max_prompt_tokens :] or end_token(self._tokenizer)

    def _response(self, item: Judged) -> TokenIds:
        response = item.response
        if response.segment is not None:
            raise ValueError(
                f"a text reward model reads text, got a trajectory of "
                f"{len(response.segment.actions)} steps"
            )
        longest = self._reading.max_response_tokens
        if item.span is not None:
            ids = self._part(response, item.span)[-longest:]
        else:
            ids = self._whole(response)[:longest]
        if not ids:
            raise ValueError(f"expected a response with text, got {response.text!r}")
        return ids

    def _whole(self, response: Response) -> TokenIds:
        if self._reading.use_token_ids and response.token_ids:
            return self._checked(response.token_ids)
        text = tuple(self._tokenizer.encode(spaced(response.prompt.text, response.text)))
        has_ended = response.finish_reason != "length"
        return (*text, *end_token(self._tokenizer)) if has_ended else text

    def _part(self, response: Response, span: Span) -> TokenIds:
        if span.unit == "character":
            text = spaced(response.prompt.text, response.text[: span.end])
            return tuple(self._tokenizer.encode(text))
        if not (self._reading.use_token_ids and response.token_ids):
            raise ValueError(
                f"a part counted in tokens needs the response's token ids, got none for "
                f"{response.text[:80]!r}"
            )
        return self._checked(response.token_ids)[: span.end]

    def _checked(self, ids: TokenIds) -> TokenIds:
        for token in ids:
            if not 0 <= token < self._tokenizer.vocab_size:
                raise ValueError(
                    f"token ids must lie below the tokenizer's {self._tokenizer.vocab_size}, got "
                    f"{token}; use_token_ids=False encodes the text instead"
                )
        return ids
