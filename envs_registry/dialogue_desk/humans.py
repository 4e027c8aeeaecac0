"""People at the desk: whole conversations of agents who take care, and of clumsy ones."""

from __future__ import annotations

import numpy as np

from textgym.envs_registry.dialogue_desk import wording
from textgym.envs_registry.dialogue_desk.customer import answer, said
from textgym.envs_registry.dialogue_desk.needs import SLOTS, Need
from textgym.envs_registry.dialogue_desk.reading import Case, read_case
from textgym.envs_registry.draws import Draws, FastDraws, pick

MAX_TURNS = 6
# How often a turn goes wrong, of careful people and of clumsy ones.
SLIPS = {False: 0.03, True: 0.4}
ASKS_TWO, IS_POLITE, ECHOES = 0.15, 0.1, 0.7


def human_conversation(need: Need, clumsy: float, rng: Draws) -> list[tuple[bool, str]]:
    """One conversation behind the first message: the agent's texts and the customer's.

    Args:
        need: The customer's.
        clumsy: Share of clumsy agents, in [0, 1].
        rng: Chooses everything else.
    """
    slips = SLIPS[rng.random() < clumsy]
    spoken: list[tuple[bool, str]] = []
    for turn in range(MAX_TURNS):
        spoken.append((True, agent_turn(read_case(need, spoken), slips, rng)))
        text, reason = answer(need, spoken, rng)
        if reason is None and turn == MAX_TURNS - 1:
            break
        spoken.append((False, text))
        if reason is not None:
            break
    return spoken


def transcript(spoken: list[tuple[bool, str]]) -> str:
    """A conversation as the text behind a prompt."""
    parts = []
    for index, (is_agent, text) in enumerate(spoken):
        is_last = index == len(spoken) - 1
        parts.append(f" {text}" if is_agent else said(text, is_last=is_last))
    return "".join(parts)


def agent_turn(case: Case, slips: float, rng: Draws) -> str:
    """What a person says next, knowing what the customer has told; `slips` of it are mistakes."""
    text = _slip(case, rng) if rng.random() < slips else _right_turn(case, rng)
    return f"{pick(wording.POLITE, rng)} {text}" if rng.random() < IS_POLITE else text


def careful_turn(case: Case) -> str:
    """What somebody says who asks for what is missing and then books; a pure function."""
    return _right_turn(case, FastDraws(np.random.SeedSequence(0)))


def _right_turn(case: Case, rng: Draws) -> str:
    values = case.need.values
    unknown = [slot for slot in values if slot not in case.known]
    if not unknown:
        return wording.booking(case.need.order, values, rng)
    first = pick(unknown, rng)
    others = [slot for slot in unknown if slot != first]
    asks_two = others and rng.random() < ASKS_TWO
    text = wording.question((first, pick(others, rng)) if asks_two else (first,), rng)
    if not case.latest or rng.random() > ECHOES:
        return text
    return f"{wording.capitalised(wording.phrases(values, case.latest))}. {text}"


def _slip(case: Case, rng: Draws) -> str:
    """Ask for what was told, book what was not, leave something out, or say nothing of use."""
    need, kind = case.need, int(rng.integers(4))
    if kind == 0 and case.known:
        return wording.question((pick(sorted(case.known), rng),), rng)
    if kind == 1:
        guess = {s: v if s in case.known else pick(SLOTS[s], rng) for s, v in need.values.items()}
        wrong = pick(tuple(guess), rng)
        return wording.booking(need.order, {**guess, wrong: pick(SLOTS[wrong], rng)}, rng)
    if kind == 2 and case.known:
        kept = {slot: value for slot, value in need.values.items() if slot in case.known}
        return wording.booking(need.order, kept, rng)
    return pick(wording.FILLERS, rng)
