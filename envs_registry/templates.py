"""Reads text by templates: `"serves {food} food"` and tables of values, nothing else is understood.

The gold utilities of procedural tasks credit a fact only inside text that such a reader
understands, so that broken text earns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

Claims = tuple[tuple[str, str], ...]

_SLOT = re.compile(r"\{(\w+)\}")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?]) ")


@dataclass(frozen=True)
class Clause:
    """A well-formed piece of text: which kind of template, and its (slot, value) pairs."""

    kind: str
    claims: Claims


@cache
def slots_of(template: str) -> tuple[str, ...]:
    """Names of the slots of a template, in order of appearance."""
    return tuple(_SLOT.findall(template))


def sentences_of(text: str) -> list[str]:
    """Split text behind its end marks; letter case is kept, white space becomes single spaces."""
    words = text.split()
    return _BETWEEN_SENTENCES.split(" ".join(words)) if words else []


@dataclass(frozen=True)
class TemplateReader:
    """Finds the template and the values that a piece of text spells exactly.

    Attributes:
        templates: Templates by kind; a slot's name may stand once in each.
        values: The values of each slot, as they are spelt.
    """

    templates: Mapping[str, Sequence[str]]
    values: Mapping[str, Sequence[str]]
    _known: dict[str, Clause | None] = field(default_factory=dict, compare=False, repr=False)
    _patterns: list[tuple[str, re.Pattern[str], tuple[str, ...]]] = field(
        default_factory=list, compare=False, repr=False
    )

    _MOST_KNOWN = 2**16

    def __post_init__(self) -> None:
        """Compile the templates.

        Raises:
            ValueError: A slot without values.
        """
        spelt = {slot: frozenset(v.lower() for v in found) for slot, found in self.values.items()}
        for kind, templates in self.templates.items():
            for template in templates:
                missing = [slot for slot in slots_of(template) if slot not in spelt]
                if missing:
                    raise ValueError(
                        f"expected values for each slot of {template!r}, got none for "
                        f"{missing[0]!r}"
                    )
                self._patterns.append((kind, _pattern(template, spelt), slots_of(template)))

    def read(self, text: str) -> Clause | None:
        """Return what the text spells, None where it fits no template; letter case is ignored."""
        lowered = text.lower()
        if lowered not in self._known:
            if len(self._known) >= self._MOST_KNOWN:
                self._known.clear()
            self._known[lowered] = next(self._readings(lowered), None)
        return self._known[lowered]

    def _readings(self, text: str) -> Iterator[Clause]:
        for kind, pattern, slots in self._patterns:
            match = pattern.fullmatch(text)
            if match is not None:
                yield Clause(kind, tuple(zip(slots, match.groups(), strict=True)))


def _pattern(template: str, values: Mapping[str, frozenset[str]]) -> re.Pattern[str]:
    """The template with each slot as a group of its values, longest first."""
    parts = _SLOT.split(template.lower())
    for index in range(1, len(parts), 2):
        slot = _SLOT.findall(template)[index // 2]
        ordered = sorted(values[slot], key=lambda value: (-len(value), value))
        parts[index] = "(" + "|".join(re.escape(value) for value in ordered) + ")"
    for index in range(0, len(parts), 2):
        parts[index] = re.escape(parts[index])
    return re.compile("".join(parts))
