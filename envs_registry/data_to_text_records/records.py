"""The records of RLHF-DataToText-v0.

Facts are a plain dict of strings, ready for JSON: `kind` ("cafe"), `name` ("Blue Fox"), and two to
four fields of the kind in the record's order ("food": "Thai", ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textgym.envs_registry.data_to_text_records.humans import reference_text
from textgym.envs_registry.data_to_text_records.lexicon import (
    FIELDS,
    KINDS,
    MAX_FIELDS,
    MIN_FIELDS,
    NAMES,
)
from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.types import Prompt


class Records(ProceduralPrompts):
    """Procedural records, each with what a careful person wrote of it; see `ProceduralPrompts`."""

    hurry: ClassVar[float] = 0.3

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        kind = pick(tuple(KINDS), rng)
        facts = {"kind": kind, "name": pick(NAMES, rng)}
        left = list(KINDS[kind])
        for _ in range(MIN_FIELDS + int(rng.integers(MAX_FIELDS - MIN_FIELDS + 1))):
            name = left.pop(int(rng.integers(len(left))))
            facts[name] = pick(FIELDS[name], rng)
        if facts.get("start") == facts.get("goal", ""):
            return self.draw(rng)
        return facts

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`; the order of the fields does not make another record."""
        return "|".join(f"{name}={facts[name]}" for name in sorted(facts))

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        return Prompt(
            prompt_id=prompt_id,
            text=record_text(facts),
            references=(reference_text(facts, rng, self.hurry),),
            facts=facts,
        )


class HastyRecords(Records):
    """The same records, told by people in a hurry: what a model learns to imitate."""

    hurry: ClassVar[float] = 1.0


def record_text(facts: Mapping[str, Any]) -> str:
    """The prompt: one line for each field, then "TEXT:"."""
    lines = [f"{name}: {value}" for name, value in facts.items()]
    return "\n".join(lines) + "\n\nTEXT:"
