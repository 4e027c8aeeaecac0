"""Reads sentences about a record; whatever does not fit the grammar tells nothing.

A sentence is a subject (the thing's name, "It" or "The cafe") and one to three predicates of
`lexicon.PREDICATES`: "A.", "A and B.", "A, B and C.". One predicate that does not fit spoils its
whole sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from textgym.envs_registry.data_to_text_records.lexicon import FIELDS, KINDS, NAMES, PREDICATES
from textgym.envs_registry.templates import Claims, TemplateReader, sentences_of

MAX_PREDICATES = 3
_WITH_KIND = {**FIELDS, "kind": tuple(KINDS)}
_PREDICATES = TemplateReader(templates=PREDICATES, values=_WITH_KIND)
_SUBJECTS = {**{name.lower(): ("name", name) for name in NAMES}, "it": None}
_SUBJECTS |= {f"the {kind}": ("kind", kind) for kind in KINDS}
_SUBJECT = re.compile("(" + "|".join(_SUBJECTS) + r") (.+)")
_CANONICAL = {
    (slot, value.lower()): value for slot, values in _WITH_KIND.items() for value in values
}


@dataclass(frozen=True)
class Sentence:
    """A well-formed sentence.

    Attributes:
        subject: The claim that its subject makes, ("name", "Blue Fox") or ("kind", "cafe"); None
            for "It".
        claims: (field, value) of each predicate, in order.
    """

    subject: tuple[str, str] | None
    claims: Claims


@dataclass(frozen=True)
class Reading:
    """What a response says.

    Attributes:
        sentences: The well-formed ones, in order.
        num_words: Words of the whole text.
        num_stray_words: Words outside well-formed sentences.
        is_closed: Whether the text ends with a full stop.
    """

    sentences: tuple[Sentence, ...]
    num_words: int
    num_stray_words: int
    is_closed: bool


def read_sentence(sentence: str) -> Sentence | None:
    """The sentence that `sentence` spells, full stop included, or None; case is ignored."""
    match = _SUBJECT.fullmatch(sentence.lower()[:-1]) if sentence.endswith(".") else None
    if match is None:
        return None
    parts = _predicates_of(match[2])
    read = [_PREDICATES.read(part) for part in parts]
    claims = tuple(_CANONICAL[claim] for clause in read if clause for claim in clause.claims)
    if not parts or len(parts) > MAX_PREDICATES or len(claims) < len(parts):
        return None
    slots = [clause.kind for clause in read if clause]
    return Sentence(_SUBJECTS[match[1]], tuple(zip(slots, claims, strict=True)))


def read_text(text: str) -> Reading:
    """Read a response; the width of white space does not matter."""
    sentences: list[Sentence] = []
    words = num_stray = 0
    for sentence in sentences_of(text):
        read = read_sentence(sentence)
        words += len(sentence.split())
        if read is None:
            num_stray += len(sentence.split())
        else:
            sentences.append(read)
    return Reading(tuple(sentences), words, num_stray, text.rstrip().endswith("."))


def _predicates_of(text: str) -> list[str]:
    """["a", "b", "c"] of "a, b and c"; nothing where the joints are not of this form."""
    *before, last = text.split(" and ")
    if not before:
        return [] if ", " in last else [last]
    if len(before) > 1 or ", " in last:
        return []
    return [*before[0].split(", "), last]
