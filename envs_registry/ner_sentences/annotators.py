"""People who tag in haste: they overlook names, cut them short and take one type for another."""

from __future__ import annotations

from collections.abc import Sequence

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.ner_sentences.scheme import ENTITY_TYPES, OUTSIDE, entities_of

# Shares of the names that are overlooked, cut to their first word, and mistaken for another type.
OVERLOOKED, CUT, MISTAKEN = 0.18, 0.1, 0.15


def hasty_tags(tags: Sequence[str], rng: Draws) -> list[str]:
    """Return the tags of somebody in haste; the truth is `tags`."""
    found = [OUTSIDE] * len(tags)
    for start, end, kind in sorted(entities_of(tags)):
        fate = rng.random()
        if fate < OVERLOOKED:
            continue
        if fate < OVERLOOKED + CUT:
            end = start + 1
        elif fate < OVERLOOKED + CUT + MISTAKEN:
            kind = pick([other for other in ENTITY_TYPES if other != kind], rng)
        found[start:end] = [f"{'I' if i else 'B'}-{kind}" for i in range(end - start)]
    return found
