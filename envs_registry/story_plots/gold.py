"""The hidden gold utility of RLHF-Story-v0: constraints met, an ending, no repetition.

Only sentences that fit the grammar and tell of the right hero count. Costs bring the utility down
to 0 at the lowest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textgym.envs_registry.story_plots.grammar import Reading, read_story
from textgym.envs_registry.story_plots.lexicon import ENDINGS
from textgym.envs_registry.templates import Clause
from textgym.types import Episode

CONSTRAINTS_CREDIT = 0.65
ENDING_CREDIT = 0.35
AVOID_COST = 0.2
WRONG_HERO_COST = 0.1
REPETITION_COST = 0.15
EARLY_ENDING_COST = 0.1
STRAY_COST = 0.4
NO_END_COST = 0.1


class StoryGold:
    """`RewardFn` of the gold utility, in [0, 1]; reads `prompt.facts` and the response."""

    name = "gold"
    needs_facts = True

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Gold utility of each episode, (N,) float32.

        Raises:
            ValueError: A prompt does not carry the facts of a plot.
        """
        return np.array([_score(episode) for episode in episodes], dtype=np.float32)


def constraints_of(facts: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """What the story must tell of, as (slot, value) pairs."""
    asked = [(slot, facts[slot]) for slot in ("friend", "place") if slot in facts]
    return frozenset([*asked, *(("thing", thing) for thing in facts["things"])])


def gold_terms(facts: Mapping[str, Any], response: str, finish_reason: str) -> dict[str, float]:
    """Named parts of the gold utility; they sum to it.

    Returns:
        `constraints` in [0, .65] and `ending`, 0 or .35; the costs `avoid`, `hero`, `repetition`,
        `early_ending`, `fluency` and `unfinished`, at most 0; `floor`, at least 0, lifts the sum to
        0 where it is below.
    """
    reading = read_story(response)
    heroes = {facts["name"].lower(), facts["pronoun"]}
    read = [clause for clause in reading.sentences if clause is not None]
    right = [clause for clause in read if {v for s, v in clause.claims if s == "who"} <= heroes]
    told = {claim for clause in right for claim in clause.claims}
    asked = constraints_of(facts)
    terms = {
        "constraints": CONSTRAINTS_CREDIT * len(asked & told) / len(asked),
        "ending": ENDING_CREDIT * _ends_as_asked(reading, right, facts["mood"]),
        "avoid": -AVOID_COST * any(("weather", facts.get("avoid")) in c.claims for c in read),
        "hero": -WRONG_HERO_COST * (len(read) - len(right)),
        "repetition": -REPETITION_COST * (len(read) - len({_content(c) for c in read})),
        "early_ending": -EARLY_ENDING_COST * sum(c.kind in ENDINGS for c in read[:-1]),
        "fluency": -STRAY_COST * _stray_share(reading),
        "unfinished": -NO_END_COST * (finish_reason == "length"),
    }
    terms["floor"] = max(0.0, -sum(terms.values()))
    return terms


def _ends_as_asked(reading: Reading, right: Sequence[Clause], mood: str) -> bool:
    """Whether the last sentence is an end of this mood, told of the right hero."""
    last = reading.sentences[-1] if reading.sentences else None
    return last is not None and last.kind == mood and last in right


def _content(clause: Clause) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What a sentence says, whoever it is told of and in whatever wording."""
    return clause.kind, tuple(claim for claim in clause.claims if claim[0] != "who")


def _stray_share(reading: Reading) -> float:
    return reading.num_stray_words / reading.num_words if reading.num_words else 1.0


def _score(episode: Episode) -> float:
    facts = episode.prompt.facts
    if "things" not in facts or "mood" not in facts:
        raise ValueError(
            f"gold needs the facts of a plot, 'things' and 'mood' among them, got {dict(facts)!r} "
            f"for prompt_id {episode.prompt.prompt_id}"
        )
    return sum(gold_terms(facts, episode.response, episode.finish_reason).values())
