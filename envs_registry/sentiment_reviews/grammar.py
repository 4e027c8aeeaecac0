"""Reads a continuation by the generator's own grammar; what does not fit says nothing.

A text is a row of sentences, each one or two clauses and a full stop or exclamation mark. " and "
joins clauses of the same mood, ", but " of different moods. "was" goes with singular aspects,
"were" with plural ones. One clause that does not fit spoils its sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from textgym.envs_registry.sentiment_reviews.lexicon import (
    ADJECTIVES,
    AND,
    BUT,
    OPINIONS,
    SUBJECTS,
    VERBS,
    VERDICTS,
)
from textgym.envs_registry.templates import TemplateReader, sentences_of


@dataclass(frozen=True)
class Opinion:
    """One clause: what it is about, an aspect or the "verdict", and its valence in [-1, 1]."""

    about: str
    valence: float


@dataclass(frozen=True)
class Reading:
    """What a continuation says.

    Attributes:
        opinions: Those of the well-formed sentences, in order.
        num_words: Words of the whole text.
        num_stray_words: Words outside well-formed sentences.
    """

    opinions: tuple[Opinion, ...]
    num_words: int
    num_stray_words: int


_SINGULAR = tuple(dict.fromkeys(a for s in SUBJECTS.values() for a in s.singular))
_PLURAL = tuple(dict.fromkeys(a for s in SUBJECTS.values() for a in s.plural))
_VERDICTS = {verdict.lower(): valence for verdict, valence in VERDICTS.items()}
_READER = TemplateReader(
    templates=OPINIONS,
    values={
        "singular": _SINGULAR,
        "plural": _PLURAL,
        "aspect": _SINGULAR + _PLURAL,
        "adjective": tuple(ADJECTIVES),
        "verb": tuple(VERBS),
    },
)
_JOINT = re.compile(f"({re.escape(BUT)}|{re.escape(AND)})")
VERDICT = "verdict"


def read_clause(text: str) -> Opinion | None:
    """The opinion that `text` (no end mark) spells exactly, or None; letter case is ignored."""
    verdict = _VERDICTS.get(text.lower())
    if verdict is not None:
        return Opinion(VERDICT, verdict)
    clause = _READER.read(text)
    if clause is None:
        return None
    said = dict(clause.claims)
    about = said.get("aspect") or said.get("singular") or said["plural"]
    valence = VERBS[said["verb"]] if "verb" in said else ADJECTIVES[said["adjective"]]
    return Opinion(about, valence)


def read_sentence(sentence: str) -> list[Opinion] | None:
    """The opinions of a sentence with its end mark, or None where it is broken."""
    if sentence[-1] not in ".!":
        return None
    parts = _JOINT.split(sentence[:-1])
    opinions = [read_clause(text) for text in parts[::2]]
    read = [opinion for opinion in opinions if opinion is not None]
    if len(read) < len(opinions) or len(read) > 2:
        return None
    if len(read) == 2 and (read[0].valence * read[1].valence > 0) != (parts[1] == AND):
        return None
    return read


def read_continuation(text: str) -> Reading:
    """Read a continuation; letter case and the width of white space do not matter."""
    opinions: list[Opinion] = []
    num_stray = 0
    for sentence in sentences_of(text):
        read = read_sentence(sentence)
        if read is None:
            num_stray += len(sentence.split())
        else:
            opinions += read
    return Reading(tuple(opinions), len(text.split()), num_stray)
