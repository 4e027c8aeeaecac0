"""The BIO scheme: entity types, tags, their symbols in a text, and entities read off tags.

A tagged sentence is written word by word, "Anna<B-person> Lopez<I-person> left<O>".
"""

from __future__ import annotations

from collections.abc import Sequence

# The types of the WNUT 2017 shared task, so that its data can be tagged as it is.
ENTITY_TYPES = ("corporation", "creative-work", "group", "location", "person", "product")
OUTSIDE = "O"
TAGS = (OUTSIDE, *(f"{part}-{kind}" for kind in ENTITY_TYPES for part in "BI"))

# An entity: its first word, the word behind its last one, its type.
Entity = tuple[int, int, str]


def symbol_of(tag: str) -> str:
    """Return how a tag stands in a text: one token of the bundled tokenizer."""
    return f"<{tag}>"


def tagged_text(words: Sequence[str], tags: Sequence[str]) -> str:
    """Return a tagged sentence as the agent's episode reads it, the first word left out.

    The first word stands in the prompt already: what follows begins with its tag.
    """
    pairs = list(zip(words, tags, strict=True))
    rest = "".join(f" {word}{symbol_of(tag)}" for word, tag in pairs[1:])
    return symbol_of(pairs[0][1]) + rest


def prompt_text(words: Sequence[str]) -> str:
    """Return the prompt: the whole sentence, then its first word, which is tagged first."""
    return f"{' '.join(words)}\n{words[0]}"


def entities_of(tags: Sequence[str]) -> frozenset[Entity]:
    """Return the entities that tags spell.

    As the shared tasks count: an I- that continues no entity of its type begins one.

    Args:
        tags: One of `TAGS` for each word.
    """
    found: set[Entity] = set()
    start, kind = 0, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        part, _, of = tag.partition("-")
        if part == "I" and of == kind:
            continue
        if kind:
            found.add((start, place, kind))
        start, kind = place, of
    return frozenset(found)


def entity_f1(tags: Sequence[str], truth: Sequence[str]) -> float:
    """Return the F1 of the entities that `tags` spell, in [0, 1]; 1 where both have none.

    An entity counts where its words and its type are right.
    """
    said, true = entities_of(tags), entities_of(truth)
    if not said and not true:
        return 1.0
    return 2 * len(said & true) / (len(said) + len(true))


def check_tags(words: Sequence[str], tags: Sequence[str]) -> None:
    """Raise ValueError unless there is a tag of the scheme for each word, and a word at all."""
    if not words:
        raise ValueError("expected a sentence of at least one word, got none")
    if len(words) != len(tags):
        raise ValueError(f"expected one tag for each of the {len(words)} words, got {len(tags)}")
    for word, tag in zip(words, tags, strict=True):
        if tag not in TAGS:
            raise ValueError(
                f"tag {tag!r} of {word!r} is outside the scheme: expected one of {list(TAGS)}"
            )
