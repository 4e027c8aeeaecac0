"""Filling the phrase tables: a template, the facts' words, and fresh detail for the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.summarize_posts.lexicon import ACTIONS, ATTEMPTS, FILLERS, PRONOUNS

_SLOT = re.compile(r"\{(\w+)\}")


@cache
def slots_of(template: str) -> tuple[str, ...]:
    """Names of the slots of a template, in order of appearance."""
    return tuple(_SLOT.findall(template))


def words_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The slot values that the facts of a post give to a template."""
    pronouns = PRONOUNS[facts["pronoun"]]
    return {
        **pronouns,
        "who": facts["who"],
        "did": facts["action"],
        "done": ACTIONS[facts["action"]],
        "thing": facts["thing"],
        "try": facts["tried"].format(**pronouns),
        "tried": ATTEMPTS[facts["tried"]].format(**pronouns),
        "outcome": facts["outcome"].format(**pronouns),
        "question": facts["question"].format(**pronouns),
    }


def phrase(template: str, words: Mapping[str, str], rng: Draws) -> str:
    """Fill a template from `words`, and from the filler lists where `words` has no such slot."""
    missing = [slot for slot in slots_of(template) if slot not in words]
    details = {slot: pick(FILLERS[slot], rng) for slot in missing}
    return template.format(**words, **details) if details else template.format(**words)


def capitalised(sentence: str) -> str:
    """The sentence with its first letter in upper case and the rest untouched."""
    return sentence[:1].upper() + sentence[1:]
