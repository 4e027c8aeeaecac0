"""Dialogues of a data set: the customer says what the user said, whatever the agent answers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from textgym.envs_registry.dialogue_desk import wording
from textgym.envs_registry.dialogue_desk.customer import said
from textgym.tokenizer import Tokenizer
from textgym.turns import OpenEpisode, Reply
from textgym.types import Prompt

SCRIPT = "script"


@dataclass(frozen=True, kw_only=True)
class ScriptedCustomer:
    """Reads the user's turns out in their order; a `Responder`.

    The episode ends "over" behind the agent's answer to the last of them, and "length" after
    `max_turns` turns of the agent.

    Attributes:
        tokenizer: The environment's.
        max_turns: Most turns of the agent.
        max_turn_tokens: See `Responder`.
        max_reply_tokens: See `Responder`.
    """

    tokenizer: Tokenizer
    max_turns: int
    max_turn_tokens: int
    max_reply_tokens: int

    def replies(self, episodes: Sequence[OpenEpisode]) -> list[Reply]:
        """See `Responder`; a line longer than all replies may be loses words at its end."""
        return [self._reply(episode) for episode in episodes]

    def _reply(self, episode: OpenEpisode) -> Reply:
        lines = episode.prompt.facts.get(SCRIPT, ())
        if episode.num_turns > len(lines):
            return Reply(finish_reason="over")
        if episode.num_turns >= self.max_turns:
            return Reply(finish_reason="length")
        return Reply(ids=tuple(self._line(lines[episode.num_turns - 1])))

    def _line(self, text: str) -> list[int]:
        """Return a line with who says it and who is to speak next, as many words as there fit."""
        words = text.split()

        def written(count: int) -> list[int]:
            return self.tokenizer.encode(said(" ".join(words[:count]), is_last=False))

        whole, counts = written(len(words)), range(len(words) + 1)
        if len(whole) <= self.max_reply_tokens:
            return whole
        fitting = bisect_right(counts, self.max_reply_tokens, key=lambda n: len(written(n))) - 1
        return written(max(fitting, 0))[: self.max_reply_tokens]


def scripted_prompt(prompt: Prompt) -> Prompt:
    """A dialogue of a data set in this environment's form.

    Args:
        prompt: `facts["turns"]` holds its utterances, the user's and the agent's in alternation.

    Raises:
        ValueError: The turns are no texts, or fewer than two.
    """
    turns = prompt.facts["turns"]
    is_texts = isinstance(turns, Sequence) and all(isinstance(text, str) for text in turns)
    if not is_texts or isinstance(turns, str) or len(turns) < 2:
        raise ValueError(f"expected the texts of two turns or more in 'turns', got {turns!r:.80}")
    lines = [" ".join(text.split()) for text in turns]
    later = [
        said(text, is_last=place + 1 == len(lines)) if place % 2 == 0 else f" {text}"
        for place, text in enumerate(lines)
        if place > 1
    ]
    return replace(
        prompt,
        text=f"{wording.CUSTOMER} {lines[0]}\n{wording.AGENT}",
        references=("".join([lines[1], *later]),),
        facts={SCRIPT: lines[2::2]},
        messages=(),
    )
