"""Reads a summary by the generator's own clause grammar; whatever does not fit tells nothing.

A summary is a row of sentences. A sentence is one to three clauses of `SUMMARY_CLAUSES`, joined
by `CONNECTORS` in the order of the story; it ends with "." or "!", a question with "?". One clause
that does not fit spoils its whole sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from textgym.envs_registry.summarize_posts.lexicon import (
    ACTIONS,
    ATTEMPTS,
    COMMON_QUESTIONS,
    FILLERS,
    OUTCOMES,
    PEOPLE,
    PRONOUNS,
    TOPICS,
)
from textgym.envs_registry.summarize_posts.phrasings import CONNECTORS, SUMMARY_CLAUSES
from textgym.envs_registry.summarize_posts.wording import slots_of


@dataclass(frozen=True)
class Clause:
    """One well-formed clause: its kind, and what it claims, as (fact name, value) pairs."""

    kind: str
    claims: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reading:
    """What a summary says.

    Attributes:
        clauses: Every clause of the well-formed sentences, in order.
        num_words: Words of the whole text.
        num_stray_words: Words outside well-formed sentences.
        is_closed: Whether the text ends with a full stop, exclamation or question mark.
    """

    clauses: tuple[Clause, ...]
    num_words: int
    num_stray_words: int
    is_closed: bool


def _inflected(templates: dict[str, str], name: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """Every surface form of a fact's values, with the claims that it makes."""
    surfaces: dict[str, tuple[tuple[str, str], ...]] = {}
    for template, value in templates.items():
        for pronoun, forms in PRONOUNS.items():
            claims: tuple[tuple[str, str], ...] = ((name, value),)
            if "{" in template:
                claims += (("pronoun", pronoun),)
            surfaces[template.format(**forms).lower()] = claims
    return surfaces


_QUESTIONS = {q: q for topic in TOPICS.values() for q in (*COMMON_QUESTIONS, *topic.questions)}

_CLAIMS: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
    "who": {who: (("who", who),) for who in PEOPLE},
    "he": {forms["he"]: (("pronoun", pronoun),) for pronoun, forms in PRONOUNS.items()},
    "did": {past: (("action", past),) for past in ACTIONS},
    "done": {done: (("action", past),) for past, done in ACTIONS.items()},
    "thing": {thing: (("thing", thing),) for topic in TOPICS.values() for thing in topic.things},
    "try": _inflected({base: base for base in ATTEMPTS}, "tried"),
    "tried": _inflected({past: base for base, past in ATTEMPTS.items()}, "tried"),
    "outcome": _inflected({outcome: outcome for outcome in OUTCOMES}, "outcome"),
    "question": _inflected(_QUESTIONS, "question"),
    **{slot: {word.lower(): () for word in words} for slot, words in FILLERS.items()},
}


# Slots whose words must not swallow the slot beside them.
_GROUPS = {"who": r"(my \w+)", "he": r"(\w+)", **dict.fromkeys(FILLERS, r"(\w+)")}


def _pattern(template: str) -> re.Pattern[str]:
    text = template.lower()
    for slot in slots_of(text):
        text = text.replace("{" + slot + "}", _GROUPS.get(slot, "(.+)"), 1)
    return re.compile(text)


_PATTERNS = [
    (kind, _pattern(template), slots_of(template))
    for kind, templates in SUMMARY_CLAUSES.items()
    for template in templates
]

_JOINTS = sorted({joint for joints in CONNECTORS.values() for joint in joints}, key=len)
_JOINT = re.compile("(" + "|".join(re.escape(joint) for joint in reversed(_JOINTS)) + ")")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?]) ")
_ORDER = {kind: place for place, kind in enumerate(("problem", "tried", "outcome"))}


@lru_cache(maxsize=2**17)
def read_clause(text: str) -> Clause | None:
    """The clause that `text` (lower case, no end mark) spells exactly, or None."""
    for kind, pattern, slots in _PATTERNS:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        found = [_CLAIMS[slot].get(word) for slot, word in zip(slots, match.groups(), strict=True)]
        if all(claims is not None for claims in found):
            return Clause(kind, tuple(claim for claims in found for claim in claims or ()))
    return None


def _read_sentence(sentence: str) -> list[Clause] | None:
    """The clauses of one sentence (lower case, with its end mark), or None where it is broken."""
    if sentence[-1] not in ".!?":
        return None
    parts = _JOINT.split(sentence[:-1])
    clauses = [read_clause(text) for text in parts[::2]]
    read = [clause for clause in clauses if clause is not None]
    if len(read) < len(clauses):
        return None
    if (read[0].kind == "question") != (sentence[-1] == "?"):
        return None
    for before, joint, after in zip(read, parts[1::2], read[1:], strict=False):
        if _ORDER.get(before.kind, 9) >= _ORDER.get(after.kind, -1):
            return None
        if joint not in CONNECTORS[after.kind]:
            return None
    return read


def read_summary(text: str) -> Reading:
    """Read a summary; letter case and the width of white space do not matter."""
    words = text.lower().split()
    clauses: list[Clause] = []
    num_stray = 0
    for sentence in _BETWEEN_SENTENCES.split(" ".join(words)) if words else ():
        read = _read_sentence(sentence)
        if read is None:
            num_stray += len(sentence.split())
        else:
            clauses += read
    is_closed = bool(words) and words[-1][-1] in ".!?"
    return Reading(tuple(clauses), len(words), num_stray, is_closed)
