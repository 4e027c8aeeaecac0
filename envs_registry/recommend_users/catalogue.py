"""The films: titles by genre, and how well each is made. A title is one token, "[Starfall]"."""

from __future__ import annotations

import re

GENRES: dict[str, tuple[str, ...]] = {
    "comedy": ("Mixup", "Banana", "Inlaws", "Pratfall", "Giggle", "Karaoke"),
    "crime": ("Alibi", "Ransom", "Nightshift", "Verdict", "Heist", "Witness"),
    "fantasy": ("Dragonglass", "Wandfire", "Elfstone", "Moonkeep", "Griffin", "Runes"),
    "history": ("Empire", "Harvest", "Galleon", "Regent", "Barricade", "Abbey"),
    "romance": ("Valentine", "Honeymoon", "Letters", "Sundress", "Waltz", "Harbour"),
    "science": ("Starfall", "Android", "Orbit", "Clonewave", "Quasar", "Terraform"),
}
# The films of a genre, in the order above: what share of its appeal each makes good.
QUALITIES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6)

# What a user says of a film, by its genre: where it was liked, and where it was skipped.
REACTIONS: dict[str, tuple[str, str]] = {
    "comedy": ("laughed", "groaned"),
    "crime": ("gripped", "yawned"),
    "fantasy": ("enchanted", "puzzled"),
    "history": ("fascinated", "dozed"),
    "romance": ("moved", "cringed"),
    "science": ("amazed", "shrugged"),
}

TITLES = tuple(title for titles in GENRES.values() for title in titles)
GENRE_OF = {title: genre for genre, titles in GENRES.items() for title in titles}
QUALITY_OF = {
    title: quality
    for titles in GENRES.values()
    for title, quality in zip(titles, QUALITIES, strict=True)
}
_SYMBOL = re.compile(r"\[(\w+)\]")


def symbol_of(title: str) -> str:
    """Return how a film stands in a text: one token of the bundled tokenizer."""
    return f"[{title}]"


def titles_in(text: str) -> list[str]:
    """Return the films that a text names, in order."""
    return [title for title in _SYMBOL.findall(text) if title in GENRE_OF]
