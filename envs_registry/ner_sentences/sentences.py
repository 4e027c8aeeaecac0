"""The sentences of RLHF-NER-v0: item i is a pure function of (data_seed, split, i)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.ner_sentences import lexicon
from textgym.envs_registry.ner_sentences.annotators import hasty_tags
from textgym.envs_registry.ner_sentences.scheme import OUTSIDE, prompt_text, tagged_text
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.types import Prompt

# How often a sentence is typed as on a phone: no capitals at all.
LOWER_CASE_RATE = 0.25
OPENER_RATE = 0.4
_PART = re.compile(r"\{([a-z-]+)\}|(\S+)")


def _person(rng: Draws) -> str:
    name = pick(lexicon.SHARED_NAMES if rng.random() < 0.3 else lexicon.FIRST_NAMES, rng)
    if rng.random() < 0.5:
        return name
    return f"{name} {pick(lexicon.SURNAME_STARTS, rng)}{pick(lexicon.SURNAME_ENDS, rng)}"


def _location(rng: Draws) -> str:
    kind = rng.random()
    if kind < 0.3:
        return pick(lexicon.SHARED_PLACES, rng)
    if kind < 0.6:
        return f"{pick(lexicon.PLACE_FRONTS, rng)} {pick(lexicon.SURNAME_STARTS, rng)}ia"
    return pick(lexicon.PLACES, rng)


def _corporation(rng: Draws) -> str:
    kind = rng.random()
    if kind < 0.25:
        return pick(lexicon.SHARED_FIRMS, rng)
    stem = pick(lexicon.FIRM_STEMS, rng)
    return stem if kind < 0.5 else f"{stem} {pick(lexicon.FIRM_ENDS, rng)}"


def _product(rng: Draws) -> str:
    name = f"{pick(lexicon.PRODUCT_STEMS, rng)} {pick(lexicon.PRODUCT_ENDS, rng)}"
    return f"{name} {pick(lexicon.NUMBERS, rng)}" if rng.random() < 0.5 else name


def _creative_work(rng: Draws) -> str:
    words = [pick(lexicon.WORK_STARTS, rng), pick(lexicon.WORK_MIDDLES, rng)]
    return " ".join([*words, pick(lexicon.WORK_ENDS, rng)])


def _group(rng: Draws) -> str:
    name = f"{pick(lexicon.BAND_MIDDLES, rng)} {pick(lexicon.BAND_ENDS, rng)}"
    return f"The {name}" if rng.random() < 0.5 else name


NAMES: dict[str, Callable[[Draws], str]] = {
    "person": _person,
    "location": _location,
    "corporation": _corporation,
    "product": _product,
    "creative-work": _creative_work,
    "group": _group,
}


class NERSentences(ProceduralPrompts):
    """Procedural sentences with their true tags; the reference is tagged by an expert.

    `facts` hold `words`, `tags` (the truth) and `hasty_tags`, as somebody tags who has no time:
    what the bundled reference model learned to imitate.
    """

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        words, tags = [], []
        if rng.random() < OPENER_RATE:
            words.append(pick(lexicon.OPENERS, rng))
        for slot, word in _PART.findall(pick(lexicon.TEMPLATES, rng)):
            is_name = slot in NAMES
            text = NAMES[slot](rng) if is_name else word or pick(lexicon.ADJECTIVES, rng)
            parts = text.split()
            words += parts
            tags += [f"{'I' if i else 'B'}-{slot}" for i in range(len(parts))] if is_name else ["O"]
        words += pick(lexicon.CLOSERS, rng).split()
        tags = [OUTSIDE] * (words[0] in lexicon.OPENERS) + tags
        tags += [OUTSIDE] * (len(words) - len(tags))
        if rng.random() < LOWER_CASE_RATE:
            words = [word.lower() for word in words]
        return {"words": words, "tags": tags}

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`."""
        return " ".join(facts["words"]).lower()

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        known = {**facts, "hasty_tags": hasty_tags(facts["tags"], rng)}
        return Prompt(
            prompt_id=prompt_id,
            text=prompt_text(known["words"]),
            references=(tagged_text(known["words"], known["tags"]),),
            facts=known,
        )


class HastySentences(NERSentences):
    """The same sentences; the reference is tagged in haste."""

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        prompt = super().write(prompt_id, facts, rng)
        told = tagged_text(prompt.facts["words"], prompt.facts["hasty_tags"])
        return replace(prompt, references=(told,))
