"""Simulated people who answer: briefly or by quoting, right or not, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.qa_passages.lexicon import REFUSALS

# The people are noisy on purpose, so that a model which imitates them perfectly has much to gain.
MISTAKE = 0.15
GIVE_UP = 0.08
GUESS = 0.4
# Chance that somebody is brief: who was asked to be, and who was asked for nothing.
ASKED_SHORT, FREE_SHORT = 0.85, 0.35


def ideal_answer(facts: Mapping[str, Any]) -> str:
    """The shortest right answer; its gold utility is 1."""
    answers = facts["answers"]
    return str(answers[0]) if answers else REFUSALS[0]


def asked_answer(facts: Mapping[str, Any], rng: Draws) -> str:
    """What one noisy person answered who was asked to be brief; no leading space.

    Args:
        facts: Those of `passages.QAPassages`.
        rng: Its draws decide how the person errs.
    """
    return _answer(facts, ASKED_SHORT, rng)


def free_answer(facts: Mapping[str, Any], rng: Draws) -> str:
    """The same by somebody who was asked for nothing: most quote a whole sentence."""
    return _answer(facts, FREE_SHORT, rng)


def _answer(facts: Mapping[str, Any], short: float, rng: Draws) -> str:
    asked = (facts["who"], facts["attribute"])
    right = next((i for i, (*fact, _) in enumerate(facts["told"]) if tuple(fact) == asked), None)
    tempting = [i for i in range(len(facts["told"])) if i != right]
    same = [i for i in tempting if facts["told"][i][1] == facts["attribute"]]
    tempting = same or tempting  # the same, told of somebody else, before anything else
    chance = rng.random()
    if right is None:
        chosen = pick(tuple(tempting), rng) if chance < GUESS else None
    elif chance < GIVE_UP:
        chosen = None
    else:
        chosen = pick(tuple(tempting), rng) if chance < GIVE_UP + MISTAKE else right
    if chosen is None:
        return pick(REFUSALS, rng)
    if rng.random() < short:
        return str(facts["told"][chosen][2])
    return str(facts["sentences"][chosen])
