"""What simulated teachers of a text environment know: its gold utility, prompts and tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

from textgym.feedback.responses import PromptText, Response
from textgym.feedback.teachers.judges import Finding
from textgym.prompts import PromptSource
from textgym.rewards.base import ExplainsGold, RewardFn, needs_facts
from textgym.tokenizer import Tokenizer
from textgym.types import Episode, Prompt


class EpisodeJudge:
    """A `Judge` of responses to an environment's own prompts, whole or in part.

    Findings are those of a gold utility that `ExplainsGold`; the demonstration is the prompt's
    best reference by gold.

    Attributes:
        needs_facts: Whether the gold utility does, see `needs_facts`: then it says nothing of a
            prompt of somebody's own.
    """

    def __init__(self, *, gold: RewardFn, prompts: PromptSource, tokenizer: Tokenizer) -> None:
        """Judge by `gold`, on prompts that `prompt_id` finds in `prompts`."""
        self._gold, self._prompts, self._tokenizer = gold, prompts, tokenizer
        self.needs_facts = needs_facts(gold)

    def gold(self, response: Response) -> float | None:
        """Return the gold utility, None for a response to a prompt of somebody's own."""
        if response.gold_score is not None:
            return response.gold_score
        prompt = self._prompt_of(response.prompt)
        return None if prompt is None else float(self._gold([_episode(prompt, response)])[0])

    def gold_scores(self, episodes: Sequence[Episode]) -> list[float | None]:
        """Return the gold of each episode, in one call; None where it lacks the facts for it."""
        is_known = [e.prompt.prompt_id >= 0 or not self.needs_facts for e in episodes]
        known = [e for e, is_scored in zip(episodes, is_known, strict=True) if is_scored]
        values = iter(self._gold(known) if known else ())
        return [float(next(values)) if is_scored else None for is_scored in is_known]

    def findings(self, response: Response) -> tuple[Finding, ...]:
        """Return what the gold utility can say of the response; possibly nothing."""
        prompt = self._prompt_of(response.prompt)
        if prompt is None or not isinstance(self._gold, ExplainsGold):
            return ()
        return tuple(self._gold.findings(_episode(prompt, response)))

    def demonstration(self, prompt: PromptText) -> Response | None:
        """Return the prompt's best reference, None where it has none."""
        known = self._prompt_of(prompt)
        if known is None or not known.references:
            return None
        shown = [Response(prompt=prompt, text=t, finish_reason="eos") for t in known.references]
        golds = self._gold([_episode(known, response) for response in shown])
        return shown[int(golds.argmax())]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of some tokens."""
        return self._tokenizer.decode(list(token_ids))

    def _prompt_of(self, prompt: PromptText) -> Prompt | None:
        index = prompt.prompt_id
        return None if index is None or index >= len(self._prompts) else self._prompts[index]


def _episode(prompt: Prompt, response: Response) -> Episode:
    return Episode(
        prompt=prompt,
        prompt_ids=response.prompt.token_ids,
        response_ids=response.token_ids,
        response=response.text,
        finish_reason=response.finish_reason or "eos",
    )
