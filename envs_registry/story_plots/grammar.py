"""Reads a story sentence by sentence; a sentence that fits no template tells nothing."""

from __future__ import annotations

from dataclasses import dataclass

from textgym.envs_registry.story_plots.lexicon import (
    ENDINGS,
    EVENTS,
    FRIENDS,
    HEROES,
    PLACES,
    THINGS,
    WEATHERS,
)
from textgym.envs_registry.templates import Clause, TemplateReader, sentences_of

_READER = TemplateReader(
    templates={**EVENTS, **ENDINGS},
    values={
        "who": (*HEROES, "she", "he"),
        "thing": THINGS,
        "friend": FRIENDS,
        "place": PLACES,
        "weather": WEATHERS,
    },
)


@dataclass(frozen=True)
class Reading:
    """What a story says.

    Attributes:
        sentences: What each sentence tells, in order; None where it fits no template. The values of
            claims are in lower case.
        num_words: Words of the whole text.
        num_stray_words: Words of the sentences that fit no template.
    """

    sentences: tuple[Clause | None, ...]
    num_words: int
    num_stray_words: int


def read_story(text: str) -> Reading:
    """Read a story; letter case and the width of white space do not matter."""
    sentences = sentences_of(text)
    read = [_READER.read(s[:-1]) if s.endswith(".") else None for s in sentences]
    sizes = [len(sentence.split()) for sentence in sentences]
    stray = sum(size for size, clause in zip(sizes, read, strict=True) if clause is None)
    return Reading(tuple(read), sum(sizes), stray)
