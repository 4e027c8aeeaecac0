"""Simulated people who go on with a review: as they please, or asked to be positive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.sentiment_reviews.lexicon import (
    ADJECTIVES,
    AND,
    BUT,
    OPINIONS,
    SUBJECTS,
    VERBS,
    VERDICTS,
)

# Chance that one opinion is praise: of glad, undecided and disappointed people.
MOODS = (0.9, 0.5, 0.12)
MOOD_SHARES = (0.35, 0.65)  # glad below the first, undecided below the second
# The same for people who were asked to be positive, and do not all try hard.
ASKED_PRAISE = 0.93
OPINION_COUNTS, ASKED_COUNTS = (1, 2, 2, 3), (2, 3, 3, 3, 4)
JOIN = 0.4
GIVE_VERDICT = 0.3
# They forget what was said above, or write of another kind of thing.
FORGET, STRAY = 0.25, 0.04

_PRAISE = {True: 1, False: -1}


def spelt_opinion(subject: str, aspect: str, is_praise: bool, rng: Draws) -> str:
    """A clause about an aspect, its words drawn."""
    number = "singular" if aspect in SUBJECTS[subject].singular else "plural"
    template = pick((*OPINIONS[number], *OPINIONS["felt"]), rng)
    words = {number: aspect, "aspect": aspect}
    words["adjective"] = _word(ADJECTIVES, is_praise, rng)
    words["verb"] = _word(VERBS, is_praise, rng)
    return template.format(**words)


def free_continuation(facts: Mapping[str, Any], rng: Draws) -> str:
    """What somebody wrote who was asked for nothing: glad, undecided or disappointed."""
    chance = rng.random()
    mood = MOODS[sum(chance >= share for share in MOOD_SHARES)]
    return _continuation(facts, mood, pick(OPINION_COUNTS, rng), rng)


def asked_continuation(facts: Mapping[str, Any], rng: Draws) -> str:
    """What somebody wrote who was asked to go on positively."""
    return _continuation(facts, ASKED_PRAISE, pick(ASKED_COUNTS, rng), rng)


def ideal_continuation(facts: Mapping[str, Any]) -> str:
    """The plainest continuation whose gold utility is 1."""
    said = {aspect for aspect, _ in facts["opinions"]}
    subject = SUBJECTS[facts["subject"]]
    first, second = [aspect for aspect in subject.singular if aspect not in said][:2]
    return f"The {first} was great. The {second} was superb. I can recommend it."


def _continuation(facts: Mapping[str, Any], praise: float, count: int, rng: Draws) -> str:
    clauses: list[tuple[str, bool]] = []
    left = _aspects(facts, rng)
    for _ in range(count):
        is_praise = rng.random() < praise
        aspect = left.pop(rng.integers(len(left)))
        clauses.append((spelt_opinion(_subject_of(aspect), aspect, is_praise, rng), is_praise))
    if rng.random() < GIVE_VERDICT:
        is_praise = rng.random() < praise
        clauses[-1] = (_word(VERDICTS, is_praise, rng), is_praise)
    return " ".join(_sentences(clauses, rng))


def _aspects(facts: Mapping[str, Any], rng: Draws) -> list[str]:
    """What this person may write about."""
    subject = facts["subject"]
    if rng.random() < STRAY:
        subject = pick(tuple(SUBJECTS), rng)
    if rng.random() < FORGET:
        return list(SUBJECTS[subject].aspects)
    said = {aspect for aspect, _ in facts["opinions"]}
    return [aspect for aspect in SUBJECTS[subject].aspects if aspect not in said]


def _subject_of(aspect: str) -> str:
    return next(name for name, subject in SUBJECTS.items() if aspect in subject.aspects)


def _sentences(clauses: list[tuple[str, bool]], rng: Draws) -> list[str]:
    """Join neighbours at random, at most two in a sentence."""
    sentences: list[str] = []
    previous: tuple[str, bool] | None = None
    for clause, is_praise in clauses:
        if previous is not None and rng.random() < JOIN:
            joint = AND if previous[1] == is_praise else BUT
            sentences[-1] = f"{sentences[-1][:-1]}{joint}{clause}."
            previous = None
        else:
            sentences.append(f"{clause[0].upper()}{clause[1:]}.")
            previous = clause, is_praise
    return sentences


def _word(words: Mapping[str, float], is_praise: bool, rng: Draws) -> str:
    return pick([word for word, valence in words.items() if valence * _PRAISE[is_praise] > 0], rng)
