"""The customers of RLHF-Dialogue-v0: item i is a pure function of (data_seed, split, i)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textgym.envs_registry.dialogue_desk import wording
from textgym.envs_registry.dialogue_desk.humans import human_conversation, transcript
from textgym.envs_registry.dialogue_desk.needs import Need, draw_need
from textgym.envs_registry.draws import Draws
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.types import Prompt


class DialoguePrompts(ProceduralPrompts):
    """Customers with their first message, their need, and one human conversation each.

    A split owns needs (an order with its three values): no order of one is wanted in another.
    """

    clumsy: ClassVar[float] = 0.1

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        return draw_need(rng).facts()

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`."""
        return " ".join([facts["order"], *facts["values"].values()])

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        need = Need.of(facts)
        message = wording.first_message(need, rng)
        return Prompt(
            prompt_id=prompt_id,
            text=f"{wording.CUSTOMER} {message}\n{wording.AGENT}",
            references=(transcript(human_conversation(need, self.clumsy, rng)).strip(),),
            facts=facts,
        )


class HastyDialogues(DialoguePrompts):
    """The same customers, served by people most of whom are clumsy: whom the reference imitates."""

    clumsy = 0.7
