"""What a sentence means, how it is drawn, and how it is said in English.

A meaning is a plain dict of strings and whole numbers, ready for JSON: `determiner`, `noun` and
`adjective` ("" for none), and either `subject` and `verb` ("my sister bought two red houses"), with
optional `day` and `month`, and `price` or `city`; or `state`, an adjective ("these houses were
cheap"), with an optional `city`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.translate_grammar.lexicon import (
    ADJECTIVES,
    CITIES,
    DETERMINERS,
    MAX_DAY,
    MAX_PRICE,
    MONTHS,
    NOUNS,
    SUBJECTS,
    VERBS,
)

STATE_SHARE = 0.3
DATE_SHARE = 0.6


def draw_meaning(rng: Draws) -> dict[str, Any]:
    """Draw a meaning, every choice uniform."""
    meaning: dict[str, Any] = {
        "determiner": pick(tuple(DETERMINERS), rng),
        "noun": pick(tuple(NOUNS), rng),
        "adjective": pick(("", *ADJECTIVES), rng),
    }
    if rng.random() < STATE_SHARE:
        others = [word for word in ADJECTIVES if word != meaning["adjective"]]
        meaning["state"] = pick(others, rng)
        return {**meaning, "city": pick(tuple(CITIES), rng)} if rng.random() < 0.5 else meaning
    meaning |= {"subject": pick(tuple(SUBJECTS), rng), "verb": pick(tuple(VERBS), rng)}
    if rng.random() < DATE_SHARE:
        meaning |= {"day": 1 + int(rng.integers(MAX_DAY)), "month": pick(tuple(MONTHS), rng)}
    where = int(rng.integers(3))
    if where == 1:
        meaning["price"] = 2 + int(rng.integers(MAX_PRICE - 1))
    elif where == 2:
        meaning["city"] = pick(tuple(CITIES), rng)
    return meaning


def english(meaning: Mapping[str, Any]) -> str:
    """The English sentence."""
    determiner = DETERMINERS[meaning["determiner"]]
    noun = meaning["noun"]
    words = [meaning["adjective"], NOUNS[noun].plural_en if determiner.is_plural else noun]
    things = " ".join(word for word in words if word)
    article = "an" if meaning["determiner"] == "a" and things[0] in "aeiou" else None
    things = f"{article or meaning['determiner']} {things}"
    city = f"in {meaning['city']}" if "city" in meaning else ""
    if "state" in meaning:
        parts = [city, things, "were" if determiner.is_plural else "was", meaning["state"]]
    else:
        date = f"on {meaning['month']} {meaning['day']}" if "day" in meaning else ""
        price = f"for {meaning['price']} euros" if "price" in meaning else ""
        parts = [date, meaning["subject"], meaning["verb"], things, price, city]
    return sentence(part for part in parts if part)


def sentence(parts: Any) -> str:
    """Parts joined by spaces, with a capital and a full stop."""
    text = " ".join(parts)
    return text[:1].upper() + text[1:] + "."
