"""The desk of RLHF-Dialogue-v0: needs, words and how they are read, the customer, gold."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from textgym.envs_registry.dialogue_desk import wording
from textgym.envs_registry.dialogue_desk.customer import answer
from textgym.envs_registry.dialogue_desk.gold import DialogueGold, spoken_in, utility
from textgym.envs_registry.dialogue_desk.humans import human_conversation, transcript
from textgym.envs_registry.dialogue_desk.needs import ORDERS, SLOTS, Need, draw_need
from textgym.envs_registry.dialogue_desk.reading import Case, read_case
from textgym.envs_registry.dialogue_desk.source import DialoguePrompts, HastyDialogues
from textgym.envs_registry.draws import Draws
from textgym.types import Episode, Prompt

NEED = Need(
    order="table",
    values={"people": "four", "day": "Friday", "time": "noon"},
    told=("day",),
    patience=2,
)
BOOKING = "Booked: a table for four on Friday at noon."


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class First:
    """Draws the first of everything, and `chance` where a share is asked for."""

    def __init__(self, chance: float = 0.99) -> None:
        """Say what `random` gives."""
        self.chance = chance

    def integers(self, low: int, high: int | None = None) -> int:
        return 0 if high is None else low

    def random(self) -> float:
        return self.chance


FIRST: Draws = First()


def agent(*texts: str) -> list[tuple[bool, str]]:
    return [(True, text) for text in texts]


# Needs


def test_a_need_survives_its_facts_and_json() -> None:
    for seed in range(50):
        need = draw_need(rng(seed))
        assert Need.of(json.loads(json.dumps(need.facts()))) == need
        assert set(need.told) <= set(need.values) and 1 <= need.patience <= 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": "boat"}, "order must be one of .*'table'.*got 'boat'"),
        ({"values": {"day": "Friday"}}, "expected values of .*'people', 'day', 'time'"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
    ],
)
def test_needs_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(NEED, **changes)


def test_customers_are_pure_functions_and_splits_share_no_order() -> None:
    orders: dict[str, set[str]] = {}
    for split in ("train", "validation", "test"):
        source = DialoguePrompts(3, split)
        items = [source[i] for i in range(300)]
        assert items == [DialoguePrompts(3, split)[i] for i in range(300)]
        orders[split] = {source.identity(item.facts) for item in items}
    assert not orders["train"] & orders["validation"]
    assert not orders["train"] & orders["test"] and not orders["validation"] & orders["test"]
    assert DialoguePrompts(4, "train")[0] != DialoguePrompts(3, "train")[0]


# Words


@pytest.mark.parametrize("order", ORDERS)
def test_every_question_asks_for_what_it_is_about(order: str) -> None:
    values = {slot: SLOTS[slot][0] for slot in ORDERS[order]}
    need = Need(order=order, values=values, told=(), patience=3)
    for slot in values:
        for text in wording.QUESTIONS[slot]:
            act = Case(need=need).hear_agent(text)
            assert (act.kind, act.slots) == ("asked", (slot,)), text
        for other in values:
            if other != slot:
                both = Case(need=need).hear_agent(wording.question((slot, other), rng()))
                assert both.kind == "asked" and set(both.slots) == {slot, other}


@pytest.mark.parametrize("order", ORDERS)
def test_every_booking_and_every_phrase_is_read_back(order: str) -> None:
    for seed in range(40):
        draws = rng(seed)
        values = {slot: str(draws.choice(SLOTS[slot])) for slot in ORDERS[order]}
        need = Need(order=order, values=values, told=(), patience=3)
        assert Case(need=need).hear_agent(wording.booking(order, values, draws)).kind == "solved"
        slot = str(draws.choice(list(values)))
        case = Case(need=need)
        case.hear_customer(wording.capitalised(wording.phrase(slot, values[slot])))
        assert case.known == {slot}
        other = next(value for value in SLOTS[slot] if value != values[slot])
        act = Case(need=need).hear_agent(wording.booking(order, {**values, slot: other}, draws))
        assert (act.kind, act.slots) == ("wrong", (slot,))


@pytest.mark.parametrize(
    ("text", "kind", "slots"),
    [
        (BOOKING, "solved", ()),
        ("Booked: a room for four on Friday at noon.", "wrong", ("people", "day", "time")),
        ("Booked: a table for four on Friday.", "wrong", ("time",)),
        ("Booked: a table for two three four on Friday at noon.", "wrong", ("people",)),
        ("Booked a table for four on friday at noon, do you like it?", "solved", ()),
        ("Which day suits you?", "repeated", ("day",)),
        ("Which day, and what time?", "asked", ("day", "time")),
        ("Which day and time", "unclear", ()),
        ("Which city?", "unclear", ()),
        ("", "unclear", ()),
    ],
)
def test_acts_by_hand(text: str, kind: str, slots: tuple[str, ...]) -> None:
    act = read_case(NEED, agent(text)).acts[0]
    assert (act.kind, act.slots) == (kind, slots)


def test_a_repeated_value_is_no_question_about_it() -> None:
    need = replace(NEED, order="room", values={"bed": "king", "nights": "two", "day": "Friday"})
    spoken = [(False, "With a king bed."), *agent("With a king bed. For how many nights?")]
    act = read_case(need, spoken).acts[0]
    assert (act.kind, act.slots) == ("asked", ("nights",))


def test_nothing_is_read_behind_the_end_of_a_case() -> None:
    solved = read_case(NEED, agent(BOOKING, "What?"))
    assert solved.is_solved and solved.annoyances == 0
    given_up = read_case(NEED, agent("What?", "Hm.", BOOKING))
    assert given_up.is_given_up and not given_up.is_solved and given_up.annoyances == 2


# The customer


@pytest.mark.parametrize(
    ("turns", "text", "reason"),
    [
        (["At what time?"], "At noon.", None),
        (["At what time, and how many people?"], "For four at noon.", None),
        (["Which day?"], "I told you, on Friday.", None),
        (["Hm."], "What do you mean?", None),
        (["Booked: a table for six on Friday at noon."], "No, for four.", None),
        (["Hm.", "Hm."], "Forget it.", "given_up"),
        ([BOOKING], "Thank you, goodbye.", "solved"),
        (["Hm.", BOOKING], "Thank you, goodbye.", "solved"),
    ],
)
def test_answers_by_hand(turns: list[str], text: str, reason: str | None) -> None:
    assert answer(NEED, agent(*turns), FIRST) == (text, reason)


def test_a_customer_may_tell_more_than_was_asked() -> None:
    text, _ = answer(NEED, agent("At what time?"), First(chance=0.0))
    assert text == "At noon for four."
    case = read_case(NEED, [*agent("At what time?"), (False, text)])
    assert case.known == {"people", "day", "time"}
    # "day" was told at first: asking for it again annoys, as does all that was volunteered.
    again = read_case(NEED, [*agent("At what time?"), (False, text), *agent("How many people?")])
    assert again.acts[-1].kind == "repeated"


# People and gold


def gold_of(text: str, facts: Any = None, **changes: Any) -> float:
    prompt = Prompt(prompt_id=0, text="", facts=facts or NEED.facts())
    settings = {"prompt_ids": (1,), "response_ids": (), "finish_reason": "solved", **changes}
    return float(DialogueGold()([Episode(prompt=prompt, response=text, **settings)])[0])


def test_transcripts_are_cut_back_into_what_was_said() -> None:
    for seed in range(100):
        draws = rng(seed)
        need = draw_need(draws)
        spoken = human_conversation(need, 0.5, draws)
        parts = spoken_in(transcript(spoken))
        assert [is_agent for is_agent, _ in parts] == [is_agent for is_agent, _ in spoken]
        for (_, part), (_, text) in zip(parts, spoken, strict=True):
            assert text in part
        assert utility(read_case(need, parts)) == utility(read_case(need, spoken))


def test_gold_by_hand() -> None:
    asked = " At what time?\nCustomer: At noon.\nAgent:"
    people = " How many people?\nCustomer: For four.\nAgent:"
    end = f" {BOOKING}\nCustomer: Thank you, goodbye."
    assert gold_of(asked + people + end) == pytest.approx(1.0)
    annoying = " Hm.\nCustomer: What do you mean?\nAgent:"
    assert gold_of(annoying + asked + people + end) == pytest.approx(0.7 + 0.3 / 2)
    assert gold_of(asked) == pytest.approx(0.3 / 2)  # one of two slots was told
    assert gold_of(asked + people) == pytest.approx(0.3)
    assert gold_of("") == 0.0
    all_told = replace(NEED, told=("people", "day", "time"))
    assert gold_of("", all_told.facts()) == 0.0
    assert gold_of(end, all_told.facts()) == pytest.approx(1.0)


def test_careful_people_serve_better_than_hasty_ones_and_noise_serves_nobody() -> None:
    gold = DialogueGold()

    def mean(source: DialoguePrompts, text: str | None = None) -> float:
        items = [source[i] for i in range(400)]
        return float(np.mean([gold_of(" " + (text or p.references[0]), p.facts) for p in items]))

    careful, hasty = mean(DialoguePrompts(0, "train")), mean(HastyDialogues(0, "train"))
    assert careful > 0.9 and 0.6 < hasty < careful - 0.1
    assert mean(DialoguePrompts(0, "train"), "the the") < 0.01
    assert gold.name == "gold"
