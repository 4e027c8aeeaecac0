"""The hidden gold utility of RLHF-DataToText-v0: all fields told, nothing invented.

Each field of the record (name and kind included) that a well-formed sentence tells rightly earns an
equal share of 1. What the record does not say, repetition, text outside the grammar and a missing
end cost; nothing is below 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.envs_registry.data_to_text_records.grammar import Reading, read_text
from textgym.types import Episode

INVENTED_COST = 0.25
REPETITION_COST = 0.1
STRAY_COST = 0.4
NO_END_COST = 0.1


class DataToTextGold:
    """`RewardFn` of the gold utility, in [0, 1]; reads `prompt.facts` and the response."""

    name = "gold"
    needs_facts = True

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Gold utility of each episode, (N,) float32.

        Raises:
            ValueError: A prompt does not carry the fields of a record.
        """
        return np.array([_score(episode) for episode in episodes], dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What well-formed sentences tell of a record.

    Attributes:
        covered: Fields told rightly.
        invented: Claims with a wrong value, or of a field that the record does not have.
        repeated: Claims of a field that was told before.
    """

    covered: frozenset[str]
    invented: int
    repeated: int


def tell(facts: Mapping[str, Any], reading: Reading) -> Telling:
    """Hold what was read against the record; a subject's name or kind may be said again."""
    covered: set[str] = set()
    seen: set[str] = set()
    invented = repeated = 0
    for sentence in reading.sentences:
        subject = [] if sentence.subject is None else [sentence.subject]
        for name, value in (*subject, *sentence.claims):
            is_right = facts.get(name) == value
            invented += not is_right
            if is_right:
                covered.add(name)
        for name, _ in sentence.claims:
            repeated += name in seen
            seen.add(name)
    return Telling(covered=frozenset(covered), invented=invented, repeated=repeated)


def gold_terms(facts: Mapping[str, Any], response: str, finish_reason: str) -> dict[str, float]:
    """Named parts of the gold utility; they sum to it.

    Returns:
        `covered` in [0, 1]; the costs `invented`, `repetition`, `fluency` and `ending`, at most 0;
        `floor`, at least 0, lifts the sum to 0 where it is below.
    """
    reading = read_text(response)
    telling = tell(facts, reading)
    stray = reading.num_stray_words / reading.num_words if reading.num_words else 1.0
    is_ended = finish_reason != "length" and reading.is_closed
    terms = {
        "covered": len(telling.covered) / len(facts),
        "invented": -INVENTED_COST * telling.invented,
        "repetition": -REPETITION_COST * telling.repeated,
        "fluency": -STRAY_COST * stray,
        "ending": -NO_END_COST * (not is_ended),
    }
    terms["floor"] = max(0.0, -sum(terms.values()))
    return terms


def _score(episode: Episode) -> float:
    facts = episode.prompt.facts
    if "kind" not in facts or "name" not in facts:
        raise ValueError(
            f"gold needs the fields of a record, 'kind' and 'name' among them, got {dict(facts)!r} "
            f"for prompt_id {episode.prompt.prompt_id}"
        )
    return sum(gold_terms(facts, episode.response, episode.finish_reason).values())
