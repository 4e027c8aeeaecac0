"""Simulated translators: those in a hurry misread words and numbers, and slip in agreement.

A model that imitates them perfectly stays far from the best translation. The careful ones seldom
make such mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.translate_grammar.lexicon import (
    ADJECTIVES,
    CITIES,
    MAX_DAY,
    MAX_PRICE,
    MONTHS,
    NOUNS,
    NUMBERS,
    SUBJECTS,
    VERBS,
)
from textgym.envs_registry.translate_grammar.spanish import Slips, spanish

# What somebody in a hurry of 1 does; the careful have less.
MISREAD = 0.45
SLIP = 0.22
WRONG_PERSON = 0.2
NO_ADJECTIVE = 0.12

_OTHERS: dict[str, tuple[Any, ...]] = {
    "noun": tuple(NOUNS),
    "subject": tuple(SUBJECTS),
    "verb": tuple(VERBS),
    "state": tuple(ADJECTIVES),
    "month": tuple(MONTHS),
    "city": tuple(CITIES),
    "day": tuple(range(1, MAX_DAY + 1)),
    "price": tuple(range(2, MAX_PRICE + 1)),
}


def reference_translation(meaning: Mapping[str, Any], rng: Draws, hurry: float) -> str:
    """What one translator in a hurry, 0 to 1, wrote; no leading space."""
    understood = _misread(meaning, rng) if rng.random() < MISREAD * hurry else dict(meaning)
    if rng.random() < NO_ADJECTIVE * hurry:
        understood["adjective"] = ""
    slips = Slips(
        gender=rng.random() < SLIP * hurry,
        number=rng.random() < SLIP * hurry,
        person=1 + int(rng.integers(3)) if rng.random() < WRONG_PERSON * hurry else 0,
        order=rng.random() < SLIP * hurry,
    )
    return spanish(understood, slips)


def _misread(meaning: Mapping[str, Any], rng: Draws) -> dict[str, Any]:
    """The meaning with one or two of its words replaced by others."""
    understood = dict(meaning)
    names = [name for name in _OTHERS if name in meaning]
    if meaning["determiner"] in NUMBERS:
        names.append("determiner")
    for _ in range(1 + int(rng.integers(2))):
        name = pick(names, rng)
        known = NUMBERS if name == "determiner" else _OTHERS[name]
        understood[name] = pick([value for value in known if value != understood[name]], rng)
    return understood
