"""The openings and constraints of RLHF-Story-v0.

Facts are plain values, ready for JSON: `name` ("Mia"), `pronoun` ("she"), `role`, `opening`,
`things` (a list of one or two), `mood` of the end, and, in some, `friend`, `place` and `avoid`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.envs_registry.story_plots.humans import reference_story
from textgym.envs_registry.story_plots.lexicon import (
    ENDINGS,
    FRIENDS,
    HEROES,
    OPENINGS,
    PLACES,
    ROLES,
    THINGS,
    WEATHERS,
)
from textgym.types import Prompt


class Plots(ProceduralPrompts):
    """Procedural openings, each with a careful person's story; see `ProceduralPrompts`."""

    hurry: ClassVar[float] = 0.3

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        name = pick(tuple(HEROES), rng)
        facts: dict[str, Any] = {"name": name, "pronoun": HEROES[name], "role": pick(ROLES, rng)}
        facts["opening"] = pick(OPENINGS, rng).format(name=name, role=facts["role"])
        left = list(THINGS)
        count = 1 + int(rng.integers(2))
        facts["things"] = [left.pop(int(rng.integers(len(left)))) for _ in range(count)]
        # A single thing comes with something else to do.
        asked = int(rng.integers(4)) if count > 1 else 1 + int(rng.integers(3))
        if asked & 1:
            facts["friend"] = pick(FRIENDS, rng)
        if asked & 2:
            facts["place"] = pick(PLACES, rng)
        if rng.random() < 0.5:
            facts["avoid"] = pick(WEATHERS, rng)
        return {**facts, "mood": pick(tuple(ENDINGS), rng)}

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`; the order of the things does not make another plot."""
        told = {name: facts[name] for name in sorted(facts) if name != "opening"}
        return "|".join(f"{n}={sorted(v) if n == 'things' else v}" for n, v in told.items())

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        return Prompt(
            prompt_id=prompt_id,
            text=plot_text(facts),
            references=(reference_story(facts, rng, self.hurry),),
            facts=facts,
        )


class HastyPlots(Plots):
    """The same openings, told on by people in a hurry: what a model learns to imitate."""

    hurry: ClassVar[float] = 1.0


def plot_text(facts: Mapping[str, Any]) -> str:
    """The prompt: the opening, one line for each constraint, then "STORY:"."""
    lines = [f"OPENING: {facts['opening']}.", f"USE: {', '.join(facts['things'])}"]
    heads = {"friend": "MEET", "place": "GO TO", "avoid": "AVOID", "mood": "END"}
    lines += [f"{head}: {facts[name]}" for name, head in heads.items() if name in facts]
    return "\n".join(lines) + "\n\nSTORY:"
