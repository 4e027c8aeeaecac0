"""The sentences of RLHF-Translate-v0.

Facts are plain values, ready for JSON: the meaning (see `meanings`), `translation`, the right one,
and `phrases`, what it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textgym.envs_registry.draws import Draws
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.envs_registry.translate_grammar.humans import reference_translation
from textgym.envs_registry.translate_grammar.meanings import draw_meaning, english
from textgym.envs_registry.translate_grammar.spanish import spanish, spanish_phrases
from textgym.types import Prompt

PROMPT_FORM = "ENGLISH: {source}\n\nSPANISH:"


class Sentences(ProceduralPrompts):
    """Procedural English sentences, each carefully translated; see `ProceduralPrompts`."""

    hurry: ClassVar[float] = 0.3

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        return draw_meaning(rng)

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`."""
        return english(facts)

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        known = {"translation": spanish(facts), "phrases": list(spanish_phrases(facts).values())}
        return Prompt(
            prompt_id=prompt_id,
            text=PROMPT_FORM.format(source=english(facts)),
            references=(reference_translation(facts, rng, self.hurry),),
            facts={**facts, **known},
        )


class HastySentences(Sentences):
    """The same sentences, translated in a hurry: what a model learns to imitate."""

    hurry: ClassVar[float] = 1.0
