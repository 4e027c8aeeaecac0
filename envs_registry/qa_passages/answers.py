"""Simulated people who answer: short or in a whole sentence, right or not, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.qa_passages.lexicon import ATTRIBUTES, REFUSALS

# The people are noisy on purpose, so that a model which imitates them perfectly has much to gain.
SHORT = 0.55
MISTAKE = 0.15
GIVE_UP = 0.08
GUESS = 0.4


def ideal_answer(facts: Mapping[str, Any]) -> str:
    """The shortest right answer; its gold utility is 1."""
    answers = facts["answers"]
    return str(answers[0]) if answers else REFUSALS[0]


def reference_answer(facts: Mapping[str, Any], rng: Draws) -> str:
    """What one noisy person answered; no leading space.

    Args:
        facts: As `passages.QAPassages` draws them: `who`, `attribute`, `answers` and `told`.
        rng: Its draws decide how the person errs.
    """
    who, attribute = facts["who"], facts["attribute"]
    tempting = [value for name, kind, value in facts["told"] if kind == attribute and name != who]
    value = facts["answers"][0] if facts["answers"] else None
    chance = rng.random()
    if value is None:
        value = pick(tempting, rng) if chance < GUESS else None
    elif chance < GIVE_UP:
        value = None
    elif chance < GIVE_UP + MISTAKE and tempting:
        value = pick(tempting, rng)
    if value is None:
        return pick(REFUSALS, rng)
    if rng.random() < SHORT:
        return str(value)
    return pick(ATTRIBUTES[attribute].statements, rng).format(who=who, value=value)
