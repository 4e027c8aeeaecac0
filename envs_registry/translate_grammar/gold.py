"""The hidden gold utility of RLHF-Translate-v0: half chrF, half exact facts.

A fact is a phrase of the right translation, every agreement in it, word for word. What is written
beyond the length of the right translation makes the facts worth less in proportion, so that
alternatives side by side do not pay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sacrebleu.metrics.chrf import CHRF

from textgym.types import Episode

CHRF_CREDIT = 0.5
FACTS_CREDIT = 0.5
NO_END_COST = 0.1

_CHRF = CHRF()
_WORD = re.compile(r"\w+")


class TranslateGold:
    """`RewardFn` of the gold utility, in [0, 1]; reads `prompt.facts` and the response."""

    name = "gold"
    needs_facts = True

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Gold utility of each episode, (N,) float32.

        Raises:
            ValueError: A prompt does not carry the right translation.
        """
        return np.array([_score(episode) for episode in episodes], dtype=np.float32)


def gold_terms(facts: Mapping[str, Any], response: str, finish_reason: str) -> dict[str, float]:
    """Named parts of the gold utility; they sum to it.

    Returns:
        `chrf` and `facts`, each in [0, .5]; the cost `ending`, at most 0, of a response without a
        full stop or an end token; `floor`, at least 0, lifts the sum to 0 where it is below.
    """
    said = _words(response)
    right = _words(facts["translation"])
    exact = sum(_holds(said, _words(phrase)) for phrase in facts["phrases"])
    brevity = min(1.0, len(right) / max(1, len(said)))
    is_ended = finish_reason != "length" and response.rstrip().endswith(".")
    chrf = _CHRF.sentence_score(response.strip(), [facts["translation"]]).score / 100
    terms = {
        "chrf": CHRF_CREDIT * chrf,
        "facts": FACTS_CREDIT * brevity * exact / len(facts["phrases"]),
        "ending": -NO_END_COST * (not is_ended),
    }
    terms["floor"] = max(0.0, -sum(terms.values()))
    return terms


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _holds(said: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether the words of a phrase stand in a row somewhere in what was said."""
    size = len(phrase)
    return any(said[i : i + size] == phrase for i in range(len(said) - size + 1))


def _score(episode: Episode) -> float:
    facts = episode.prompt.facts
    if "translation" not in facts or "phrases" not in facts:
        raise ValueError(
            f"gold needs the 'translation' and its 'phrases', got {dict(facts)!r} for prompt_id "
            f"{episode.prompt.prompt_id}"
        )
    return sum(gold_terms(facts, episode.response, episode.finish_reason).values())
