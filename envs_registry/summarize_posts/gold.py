"""The hidden gold utility of RLHF-Summarize-v0: what the simulated people really want.

The best summary has 1, and nothing has less than `FLOOR`. Credit is graded by fact and by
clause, but only well-formed clauses of `grammar` count, so broken text earns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.envs_registry.summarize_posts.grammar import Clause, read_summary
from textgym.feedback.teachers.judges import Finding
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
# What a teacher calls the facts.
SUBJECTS = {
    "who": "the person", "action": "what happened", "thing": "the thing", "tried": "what was tried",
    "outcome": "the outcome", "question": "the question", "pronoun": "he or she",
}  # fmt: skip


class SummarizeGold:
    """`RewardFn` of the gold utility, in [-0.5, 1]; reads `prompt.facts` and the response."""

    name = "gold"
    needs_facts = True

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Gold utility of each episode, (N,) float32.

        Raises:
            ValueError: A prompt does not carry the facts of a post.
        """
        scores = [_score(episode) for episode in episodes]
        return np.array(scores, dtype=np.float32)

    def findings(self, episode: Episode) -> tuple[Finding, ...]:
        """Return what is right and wrong with a summary, the weightiest first."""
        return summary_findings(episode.prompt.facts, episode.response, episode.finish_reason)


def gold_terms(facts: Mapping[str, Any], response: str, finish_reason: str) -> dict[str, float]:
    """Named parts of the gold utility; they sum to it.

    Returns:
        `facts` in [0, 1]; the costs `wrong`, `distractors`, `repetition`, `length`, `fluency` and
        `ending`, at most 0; `floor`, at least 0, lifts the sum to `FLOOR` where it is below.
    """
    reading = read_summary(response)
    terms = _clause_terms(tell(facts, reading.clauses))
    excess = max(0, reading.num_words - FREE_WORDS)
    stray = reading.num_stray_words / reading.num_words if reading.num_words else 1.0
    terms["length"] = -min(MAX_LENGTH_COST, WORD_COST * excess)
    terms["fluency"] = -STRAY_COST * stray
    terms["ending"] = -NO_END_COST * (finish_reason != "eos")
    terms["ending"] -= NOT_CLOSED_COST * (not reading.is_closed)
    terms["floor"] = max(0.0, FLOOR - sum(terms.values()))
    return terms


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What well-formed clauses tell of a post.

    Attributes:
        covered: Facts told rightly.
        wrong: A fact for each wrong claim, in order; the same may come twice.
        distractors: Clauses that do not matter.
        repetitions: Clauses of a kind that came before.
    """

    covered: frozenset[str]
    wrong: tuple[str, ...]
    distractors: int
    repetitions: int


def tell(facts: Mapping[str, Any], clauses: Sequence[Clause]) -> Telling:
    """Hold clauses against the facts: the first of each kind counts, a second is a repetition."""
    covered: set[str] = set()
    wrong: list[str] = []
    seen: set[str] = set()
    distractors = repetitions = 0
    for clause in clauses:
        if clause.kind == "distractor":
            distractors += 1
            continue
        for name, value in clause.claims:
            if facts[name] != value:
                wrong.append(name)
            elif clause.kind not in seen:
                covered.add(name)
        repetitions += clause.kind in seen
        seen.add(clause.kind)
    return Telling(
        covered=frozenset(covered),
        wrong=tuple(wrong),
        distractors=distractors,
        repetitions=repetitions,
    )


def _clause_terms(telling: Telling) -> dict[str, float]:
    return {
        "facts": sum(FACT_CREDIT.get(name, 0.0) for name in sorted(telling.covered)),
        "wrong": -sum(WRONG_COST[name] for name in telling.wrong),
        "distractors": -DISTRACTOR_COST * telling.distractors,
        "repetition": -REPETITION_COST * telling.repetitions,
    }


def summary_findings(
    facts: Mapping[str, Any], response: str, finish_reason: str
) -> tuple[Finding, ...]:
    """Return what the gold utility counts, as a teacher would name it, by what each costs."""
    reading = read_summary(response)
    telling = tell(facts, reading.clauses)
    weighed = [(FACT_CREDIT[n], "covered", n) for n in FACT_CREDIT if n in telling.covered]
    weighed += [(WRONG_COST[n] + FACT_CREDIT.get(n, 0), "wrong", n) for n in set(telling.wrong)]
    told = telling.covered | set(telling.wrong)
    weighed += [(credit, "missing", n) for n, credit in FACT_CREDIT.items() if n not in told]
    excess = max(0, reading.num_words - FREE_WORDS)
    stray = reading.num_stray_words / reading.num_words if reading.num_words else 1.0
    is_open = finish_reason != "eos" or not reading.is_closed
    weighed += [
        (DISTRACTOR_COST * telling.distractors, "irrelevant", ""),
        (REPETITION_COST * telling.repetitions, "repeated", ""),
        (min(MAX_LENGTH_COST, WORD_COST * excess), "too_long", ""),
        (STRAY_COST * stray, "broken", ""),
        (NOT_CLOSED_COST * is_open, "unfinished", ""),
    ]
    ordered = sorted(weighed, key=lambda item: (-item[0], item[1:]))
    return tuple(
        Finding(aspect=aspect, subject=SUBJECTS.get(name, ""))
        for weight, aspect, name in ordered
        if weight > 0
    )


def _score(episode: Episode) -> float:
    facts = episode.prompt.facts
    if "who" not in facts or "question" not in facts:
        raise ValueError(
            f"gold needs the facts of a post, got {dict(facts)!r} for prompt_id "
            f"{episode.prompt.prompt_id}"
        )
    return sum(gold_terms(facts, episode.response, episode.finish_reason).values())
