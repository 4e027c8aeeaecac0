"""The hidden gold utility of RLHF-Summarize-v0: what the simulated people really want.

The best summary has 1, and nothing has less than `FLOOR`. Credit is graded by fact and by
clause, but only well-formed clauses of `grammar` count, so broken text earns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textgym.envs_registry.summarize_posts.grammar import Clause, read_summary
from textgym.types import Episode

FACT_CREDIT = {
    "who": 0.12, "action": 0.14, "thing": 0.14, "tried": 0.2, "outcome": 0.2, "question": 0.2,
}  # fmt: skip
WRONG_COST = {
    "who": 0.1, "action": 0.1, "thing": 0.1, "tried": 0.12, "outcome": 0.12, "question": 0.12,
    "pronoun": 0.06,
}  # fmt: skip
DISTRACTOR_COST = 0.12
REPETITION_COST = 0.12
STRAY_COST = 0.3
NO_END_COST = 0.05
NOT_CLOSED_COST = 0.05
FREE_WORDS = 26
WORD_COST = 0.01
MAX_LENGTH_COST = 0.2
FLOOR = -0.5


class SummarizeGold:
    """`RewardFn` of the gold utility, in [-0.5, 1]; reads `prompt.facts` and the response."""

    name = "gold"

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Gold utility of each episode, (N,) float32.

        Raises:
            ValueError: A prompt does not carry the facts of a post.
        """
        scores = [_score(episode) for episode in episodes]
        return np.array(scores, dtype=np.float32)


def gold_terms(facts: Mapping[str, Any], response: str, finish_reason: str) -> dict[str, float]:
    """Named parts of the gold utility; they sum to it.

    Returns:
        `facts` in [0, 1]; the costs `wrong`, `distractors`, `repetition`, `length`, `fluency` and
        `ending`, at most 0; `floor`, at least 0, lifts the sum to `FLOOR` where it is below.
    """
    reading = read_summary(response)
    terms = _clause_terms(facts, reading.clauses)
    excess = max(0, reading.num_words - FREE_WORDS)
    stray = reading.num_stray_words / reading.num_words if reading.num_words else 1.0
    terms["length"] = -min(MAX_LENGTH_COST, WORD_COST * excess)
    terms["fluency"] = -STRAY_COST * stray
    terms["ending"] = -NO_END_COST * (finish_reason != "eos")
    terms["ending"] -= NOT_CLOSED_COST * (not reading.is_closed)
    terms["floor"] = max(0.0, FLOOR - sum(terms.values()))
    return terms


def _clause_terms(facts: Mapping[str, Any], clauses: Sequence[Clause]) -> dict[str, float]:
    """Credit for the first clause of each kind; a second of the kind is a repetition."""
    covered: set[str] = set()
    seen: set[str] = set()
    terms = dict.fromkeys(("facts", "wrong", "distractors", "repetition"), 0.0)
    for clause in clauses:
        if clause.kind == "distractor":
            terms["distractors"] -= DISTRACTOR_COST
            continue
        for name, value in clause.claims:
            if facts[name] != value:
                terms["wrong"] -= WRONG_COST[name]
            elif clause.kind not in seen:
                covered.add(name)
        if clause.kind in seen:
            terms["repetition"] -= REPETITION_COST
        seen.add(clause.kind)
    terms["facts"] = sum(FACT_CREDIT.get(name, 0.0) for name in sorted(covered))
    return terms


def _score(episode: Episode) -> float:
    facts = episode.prompt.facts
    if "who" not in facts or "question" not in facts:
        raise ValueError(
            f"gold needs the facts of a post, got {dict(facts)!r} for prompt_id "
            f"{episode.prompt.prompt_id}"
        )
    return sum(gold_terms(facts, episode.response, episode.finish_reason).values())
