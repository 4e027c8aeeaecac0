"""The hidden gold utility of RLHF-Sentiment-v0: well-formed, new and deserved praise.

A quarter of the utility is grammar (the share of words in well-formed sentences), the rest is
praise: the sum of the valences of three opinions, at most one on each aspect, none on what the
opening has spoken of already. Broken text earns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textgym.envs_registry.sentiment_reviews.grammar import (
    VERDICT,
    Opinion,
    Reading,
    read_clause,
    read_continuation,
)
from textgym.envs_registry.sentiment_reviews.lexicon import SUBJECTS
from textgym.feedback.teachers.judges import Finding
from textgym.types import Episode

GRAMMAR_CREDIT = 0.25
PRAISE_CREDIT = 0.25
MOST_PRAISED = 3
BLAME_COST = 0.12
CONTRADICTION_COST = 0.12
REPETITION_COST = 0.08
IRRELEVANT_COST = 0.1
NO_END_COST = 0.05


class SentimentGold:
    """`RewardFn` of the gold utility, in [0, 1]; reads `prompt.facts` and the response."""

    name = "gold"
    needs_facts = True

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Gold utility of each episode, (N,) float32.

        Raises:
            ValueError: A prompt does not carry the facts of a review.
        """
        scores = [
            sum(gold_terms(_facts(e), e.response, e.finish_reason).values()) for e in episodes
        ]
        return np.array(scores, dtype=np.float32)

    def findings(self, episode: Episode) -> tuple[Finding, ...]:
        """Return what is right and wrong with a continuation, the weightiest first."""
        terms = gold_terms(_facts(episode), episode.response, episode.finish_reason)
        weighed = [
            (terms["praise"], Finding(aspect="covered", subject="the good points")),
            (PRAISE_CREDIT - terms["praise"], Finding(aspect="missing", subject="praise")),
            (GRAMMAR_CREDIT - terms["grammar"], Finding(aspect="broken")),
            (-terms["blame"], Finding(aspect="wrong", subject="the mood")),
            (-terms["contradiction"], Finding(aspect="wrong", subject="what was said above")),
            (-terms["repetition"], Finding(aspect="repeated")),
            (-terms["irrelevant"], Finding(aspect="irrelevant")),
            (-terms["ending"], Finding(aspect="unfinished")),
        ]
        ordered = sorted(weighed, key=lambda item: -item[0])
        return tuple(finding for weight, finding in ordered if weight > 1e-9)


def gold_terms(facts: Mapping[str, Any], response: str, finish_reason: str) -> dict[str, float]:
    """Named parts of the gold utility; they sum to it.

    Returns:
        `grammar` in [0, .25] and `praise` in [0, .75]; the costs `blame`, `contradiction`,
        `repetition`, `irrelevant` and `ending`, at most 0; `floor` lifts the sum to 0.
    """
    reading = read_continuation(response)
    terms = _opinion_terms(facts, reading)
    well_formed = 1 - reading.num_stray_words / reading.num_words if reading.num_words else 0.0
    terms["grammar"] = GRAMMAR_CREDIT * well_formed
    terms["ending"] = -NO_END_COST * (finish_reason != "eos")
    terms["floor"] = max(0.0, -sum(terms.values()))
    return terms


def _opinion_terms(facts: Mapping[str, Any], reading: Reading) -> dict[str, float]:
    on_topic = {*SUBJECTS[facts["subject"]].aspects, VERDICT}
    said = {aspect: read_clause(clause) for aspect, clause in facts["opinions"]}
    terms = dict.fromkeys(("blame", "contradiction", "repetition", "irrelevant"), 0.0)
    praised: dict[str, float] = {}
    seen: set[str] = set()
    for opinion in reading.opinions:
        earlier = said.get(opinion.about)
        if opinion.about not in on_topic:
            terms["irrelevant"] -= IRRELEVANT_COST
        elif earlier is not None and _differ(earlier, opinion):
            terms["contradiction"] -= CONTRADICTION_COST
        elif earlier is not None or opinion.about in seen:
            terms["repetition"] -= REPETITION_COST
        elif opinion.valence > 0:
            praised[opinion.about] = opinion.valence
        if opinion.valence < 0:
            terms["blame"] += BLAME_COST * opinion.valence
        seen.add(opinion.about)
    best = sorted(praised.values(), reverse=True)[:MOST_PRAISED]
    return {**terms, "praise": PRAISE_CREDIT * sum(best)}


def _differ(one: Opinion, other: Opinion) -> bool:
    return one.valence * other.valence < 0


def _facts(episode: Episode) -> Mapping[str, Any]:
    facts = episode.prompt.facts
    if facts.get("subject") not in SUBJECTS or "opinions" not in facts:
        raise ValueError(
            f"gold needs the facts of a review, got {dict(facts)!r} for prompt_id "
            f"{episode.prompt.prompt_id}"
        )
    return facts
