"""Simulated people: who writes the reference texts, and what a perfect one would say.

People in a hurry leave fields out, misread one, invent one and repeat; a model that imitates them
perfectly stays far from the best text. The careful ones do so seldom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.envs_registry.data_to_text_records.lexicon import FIELDS, KINDS, PREDICATES
from textgym.envs_registry.draws import Draws, pick

# What somebody in a hurry of 1 does; the careful have less.
DROP_FIELD = 0.2
MISREAD = 0.3
INVENT = 0.25
REPEAT = 0.15
NO_NAME = 0.1

Told = list[tuple[str, str]]


def ideal_text(facts: Mapping[str, Any]) -> str:
    """The plainest text that tells every field; its gold utility is 1."""
    told = [(name, value) for name, value in facts.items() if name != "name"]
    return _written(facts["name"], [told[:2], told[2:]], ["It", "It"], rng=None)


def reference_text(facts: Mapping[str, Any], rng: Draws, hurry: float) -> str:
    """What one person in a hurry, 0 to 1, wrote under the record; no leading space."""
    told = _told(facts, rng, hurry)
    groups: list[Told] = []
    while told:
        size = 1 + int(rng.integers(min(3, len(told))))
        groups.append(told[:size])
        told = told[size:]
    subjects = [pick(("It", f"The {facts['kind']}"), rng) for _ in groups]
    first = subjects[0] if rng.random() < NO_NAME * hurry else facts["name"]
    return _written(first, groups, subjects, rng)


def _told(facts: Mapping[str, Any], rng: Draws, hurry: float) -> Told:
    """What a person tells, as (field, value) pairs in the order in which they are told."""
    fields = [name for name in facts if name not in ("name", "kind")]
    told = [(name, facts[name]) for name in fields if rng.random() >= DROP_FIELD * hurry]
    if told and rng.random() < MISREAD * hurry:
        place = int(rng.integers(len(told)))
        told[place] = (told[place][0], _other(told[place][0], told[place][1], rng))
    others = [name for name in KINDS[facts["kind"]] if name not in facts]
    if others and rng.random() < INVENT * hurry:
        name = pick(others, rng)
        told.insert(int(rng.integers(len(told) + 1)), (name, pick(FIELDS[name], rng)))
    elif told and rng.random() < REPEAT * hurry:
        told.append(told[0])
    if not told or rng.random() >= DROP_FIELD * hurry:
        told.insert(0, ("kind", facts["kind"]))
    return told


def _other(name: str, value: str, rng: Draws) -> str:
    return pick([other for other in FIELDS[name] if other != value], rng)


def _written(first: str, groups: Sequence[Told], subjects: Sequence[str], rng: Draws | None) -> str:
    """Sentences, one for each group; the plainest wording where there is no `rng`."""
    sentences = []
    for subject, group in zip([first, *subjects[1:]], groups, strict=True):
        parts = [_predicate(name, value, rng) for name, value in group]
        joined = " and ".join([", ".join(parts[:-1]), parts[-1]]) if parts[1:] else parts[0]
        sentences.append(f"{subject} {joined}.")
    return " ".join(sentences)


def _predicate(name: str, value: str, rng: Draws | None) -> str:
    wordings = PREDICATES[name]
    template = wordings[0] if rng is None else pick(wordings, rng)
    return template.format(**{name: value})
