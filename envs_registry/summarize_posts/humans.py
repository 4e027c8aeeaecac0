"""Simulated people: who writes the reference summaries, and what a perfect one would say.

The people are noisy on purpose: they leave facts out, get one wrong, ramble and repeat, so that a
model that imitates them perfectly stays far from the best summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.summarize_posts.facts import TOLD_FACTS, alternatives
from textgym.envs_registry.summarize_posts.lexicon import PEOPLE
from textgym.envs_registry.summarize_posts.phrasings import CONNECTORS, SUMMARY_CLAUSES
from textgym.envs_registry.summarize_posts.wording import capitalised, phrase, words_of

STATEMENTS = ("problem", "tried", "outcome")

DROP_CLAUSE = 0.25
WRONG_FACT = 0.4
# What those who left something out do instead; so no summary is very long.
RAMBLE = 0.35
REPEAT = 0.15
JOIN = 0.5


def ideal_summary(facts: Mapping[str, Any]) -> str:
    """The plainest summary that tells every fact; its gold utility is 1."""
    words = words_of(facts)
    plain = {kind: SUMMARY_CLAUSES[kind][0].format(**words) for kind in (*STATEMENTS, "question")}
    return (
        f"{capitalised(plain['problem'])}. {plain['tried']}, but {plain['outcome']}. "
        f"{capitalised(plain['question'])}?"
    )


def reference_summary(facts: Mapping[str, Any], rng: Draws) -> str:
    """What one noisy person wrote under the post; no leading space, one to four clauses."""
    words = words_of(_misread(facts, rng) if rng.random() < WRONG_FACT else facts)
    kinds = [kind for kind in (*STATEMENTS, "question") if rng.random() >= DROP_CLAUSE]
    kinds = kinds or ["problem"]
    told = [(kind, _clause(kind, words, rng)) for kind in kinds]
    sentences = _sentences(told, rng)
    aside = rng.random() if len(kinds) <= len(STATEMENTS) else 1.0
    if aside < RAMBLE:
        detail = pick(facts["distractors"], rng) + "."
        sentences.insert(int(rng.integers(len(sentences) + 1)), detail)
    elif aside < RAMBLE + REPEAT:
        sentences.append(_clause(kinds[0], words, rng) + _end(kinds[0]))
    return " ".join(capitalised(sentence) for sentence in sentences)


def _clause(kind: str, words: Mapping[str, str], rng: Draws) -> str:
    return phrase(pick(SUMMARY_CLAUSES[kind], rng), words, rng)


def _misread(facts: Mapping[str, Any], rng: Draws) -> dict[str, Any]:
    """The facts with one of them replaced by another of the same subreddit."""
    name = pick(TOLD_FACTS, rng)
    others = [value for value in alternatives(facts["subreddit"])[name] if value != facts[name]]
    believed = {**facts, name: pick(others, rng)}
    return {**believed, "pronoun": PEOPLE[believed["who"]]}


def _sentences(told: list[tuple[str, str]], rng: Draws) -> list[str]:
    """Join neighbouring statements at random; at most two clauses in a sentence."""
    sentences: list[str] = []
    joined = True
    for kind, clause in told:
        if not joined and kind in CONNECTORS and rng.random() < JOIN:
            sentences[-1] = sentences[-1][:-1] + pick(CONNECTORS[kind], rng) + clause + "."
            joined = True
        else:
            sentences.append(clause + _end(kind))
            joined = False
    return sentences


def _end(kind: str) -> str:
    return "?" if kind == "question" else "."
