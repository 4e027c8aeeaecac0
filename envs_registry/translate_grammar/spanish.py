"""The same meanings in Spanish, phrase by phrase, with agreement, or with slips in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textgym.envs_registry.translate_grammar.lexicon import (
    ADJECTIVES,
    CITIES,
    DETERMINERS,
    MONTHS,
    NOUNS,
    SUBJECTS,
    VERBS,
)
from textgym.envs_registry.translate_grammar.meanings import sentence


@dataclass(frozen=True, kw_only=True)
class Slips:
    """Mistakes of grammar that a translator makes.

    Attributes:
        gender: The noun is taken for one of the other gender.
        number: The adjective stays in the singular, or is put into the plural.
        person: The verb agrees with somebody else; how many persons further, 0 to 3.
        order: The adjective stands before the noun, as in English.
    """

    gender: bool = False
    number: bool = False
    person: int = 0
    order: bool = False


NO_SLIPS = Slips()


def spanish_phrases(meaning: Mapping[str, Any], slips: Slips = NO_SLIPS) -> dict[str, str]:
    """The phrases of the Spanish sentence in their order; what does not occur is left out.

    Returns:
        `date`, `city`, `subject`, `verb`, `things`, `state` and `price`, those that there are.
    """
    things = _things(meaning, slips)
    city = f"en {CITIES[meaning['city']]}" if "city" in meaning else ""
    if "state" in meaning:
        is_plural = DETERMINERS[meaning["determiner"]].is_plural
        found = {
            "city": city,
            "things": things,
            "verb": "eran" if is_plural != (slips.person > 0) else "era",
            "state": _adjective(meaning["state"], meaning, slips),
        }
    else:
        subject, person = SUBJECTS[meaning["subject"]]
        found = {
            "date": f"el {meaning['day']} de {MONTHS[meaning['month']]}"
            if "day" in meaning
            else "",
            "subject": subject,
            "verb": VERBS[meaning["verb"]][(person + slips.person) % 4],
            "things": things,
            "price": f"por {meaning['price']} euros" if "price" in meaning else "",
            "city": city,
        }
    return {name: phrase for name, phrase in found.items() if phrase}


def spanish(meaning: Mapping[str, Any], slips: Slips = NO_SLIPS) -> str:
    """The Spanish sentence."""
    return sentence(spanish_phrases(meaning, slips).values())


def _things(meaning: Mapping[str, Any], slips: Slips) -> str:
    determiner, noun = DETERMINERS[meaning["determiner"]], NOUNS[meaning["noun"]]
    article = determiner.feminine if _is_feminine(meaning, slips) else determiner.masculine
    words = [article, noun.plural if determiner.is_plural else noun.singular]
    if meaning["adjective"]:
        words.insert(1 if slips.order else 2, _adjective(meaning["adjective"], meaning, slips))
    return " ".join(words)


def _adjective(word: str, meaning: Mapping[str, Any], slips: Slips) -> str:
    form = ADJECTIVES[word][_is_feminine(meaning, slips)]
    if DETERMINERS[meaning["determiner"]].is_plural == slips.number:
        return form
    return form + ("s" if form[-1] in "aeiou" else "es")


def _is_feminine(meaning: Mapping[str, Any], slips: Slips) -> bool:
    return (NOUNS[meaning["noun"]].gender == "f") != slips.gender
