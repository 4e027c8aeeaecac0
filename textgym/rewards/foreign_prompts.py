"""Episodes as another tokenizer reads them: for reward models with a tokenizer of their own."""

from __future__ import annotations

from textgym.dialogues import render_messages, visible_messages
from textgym.tokenizer import Tokenizer
from textgym.types import Episode


class ForeignPrompts:
    """Prompt and response of an episode as text that another tokenizer can make sense of.

    A conversation is rendered anew, by the other tokenizer's own chat template, or in the plain
    "Human: … Assistant: …" form where it has none: these are the forms that `textgym reward` trains
    on. Of a conversation that was cut to fit, the messages left are rendered. Where neither
    side has a template, and for prompts that are no conversation, the text stays as it is.

    Text that keeps the policy's special tokens (a file of rendered chats, say) keeps those that the
    other tokenizer has too and loses the others, of which it would make senseless letters.
    """

    def __init__(self, source: Tokenizer, target: Tokenizer) -> None:
        """Read what `source` wrote with `target`."""
        self._source = source
        self._render_chat = target.render_chat if _has_template(target) else None
        self._is_rerendered = _has_template(source) or _has_template(target)
        known = set(target.hf.get_vocab()) if target.hf is not None else set()
        self._unknown = [token for token in _special_tokens(source) if token not in known]

    def texts(self, episode: Episode) -> tuple[str, str]:
        """Return the prompt, as the environment showed it, and the response."""
        shown = self._source.decode(episode.prompt_ids, skip_special_tokens=False)
        if self._is_rerendered and episode.prompt.messages:
            messages = visible_messages(episode.prompt.messages, shown)
            if messages:
                reply = episode.response.strip()
                prompt = render_messages(messages, self._render_chat)
                return prompt, reply if self._render_chat is not None else f" {reply}"
        for token in self._unknown:
            shown = shown.replace(token, "")
        return shown, episode.response


def _has_template(tokenizer: Tokenizer) -> bool:
    return tokenizer.hf is not None and bool(tokenizer.hf.chat_template)


def _special_tokens(tokenizer: Tokenizer) -> list[str]:
    """Return the texts of special tokens, the longest first, as one may begin with another."""
    if tokenizer.hf is None:
        return []
    added = tokenizer.hf.added_tokens_decoder.values()
    special = {str(token) for token in added if token.special}
    return sorted({*special, *tokenizer.hf.all_special_tokens}, key=len, reverse=True)
