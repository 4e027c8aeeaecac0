"""RLHF-Dialogue-v0: needs, words and how they are read, the customer, gold, and whole episodes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textgym.envs_registry.dialogue import DialogueConfig, DialogueEnv, DialogueVectorEnv
from textgym.envs_registry.dialogue_desk import wording
from textgym.envs_registry.dialogue_desk.customer import answer, said
from textgym.envs_registry.dialogue_desk.gold import DialogueGold, spoken_in, utility
from textgym.envs_registry.dialogue_desk.humans import human_conversation, transcript
from textgym.envs_registry.dialogue_desk.needs import ORDERS, SLOTS, Need, draw_need
from textgym.envs_registry.dialogue_desk.reading import Case, read_case
from textgym.envs_registry.dialogue_desk.source import DialoguePrompts, HastyDialogues
from textgym.envs_registry.draws import Draws
from textgym.tokenizer import load_tokenizer, train_sentencepiece
from textgym.turns import episode_turns
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


# The environment


@pytest.fixture(scope="module")
def desk_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk_tokenizer")
    source = DialoguePrompts(0, "train")
    texts = [f"{source[i].text} {source[i].references[0]}" for i in range(300)]
    train_sentencepiece(texts, folder, 400)
    return folder


def make(tokenizer: Path, cls: Any = DialogueEnv, **changes: Any) -> Any:
    """Without models: a reward by rule, and a bundle that nobody asks for."""
    settings = {"tokenizer": str(tokenizer), "reward": "gold", "kl_coef": 0.0}
    # The fixture's tokenizer has fewer whole words than the bundled one.
    sizes = {"max_new_tokens": 160, "max_turn_tokens": 40, "max_reply_tokens": 160}
    return cls(build_without_reference, **{**settings, **sizes, **changes})


def build_without_reference(config: DialogueConfig) -> Any:
    from textgym.envs_registry import dialogue

    given = replace(config, reference_model=str(config.tokenizer))
    return replace(dialogue.build_task(given), make_reference=None)


def play(env: Any, *turns: str) -> dict[str, Any]:
    """Say turns, each closed by an end token; return the last info."""
    tokenizer = env.task.tokenizer
    info: dict[str, Any] = {}
    for text in turns:
        for token in (*tokenizer.encode(f" {text}"), tokenizer.eos_ids[0]):
            _, _, ended, _, info = env.step(token)
            if ended:
                return info
    return info


def begin(env: Any, need: Need) -> dict[str, Any]:
    """Reset to the first customer whose order, told slots and patience are these."""
    source = env.task.prompts
    for index in range(5000):
        facts = source[index].facts
        if (facts["order"], tuple(facts["told"]), facts["patience"]) == (
            need.order,
            need.told,
            need.patience,
        ):
            env.reset(seed=0, options={"prompt_id": index})
            return facts
    raise AssertionError("no such customer")


def test_a_served_customer_thanks(desk_tokenizer: Path) -> None:
    env = make(desk_tokenizer)
    facts = begin(env, NEED)
    booking = wording.booking("table", facts["values"], rng())
    info = play(env, "At what time, and how many people?", booking)
    assert info["finish_reason"] == "solved"
    assert info["score"] == info["gold_score"] == pytest.approx(1.0)
    assert info["response"].endswith(wording.THANKS) and "\nCustomer: " in info["response"]
    ids, flags = info["response_ids"], info["response_is_action"]
    said_by_agent = env.task.tokenizer.decode([i for i, own in zip(ids, flags, strict=True) if own])
    assert "Customer" not in said_by_agent and booking in said_by_agent


def test_a_customer_without_patience_leaves_and_the_cap_ends_the_rest(desk_tokenizer: Path) -> None:
    env = make(desk_tokenizer)
    begin(env, NEED)
    info = play(env, "Hm.", "Hm.", "Hm.")
    assert info["finish_reason"] == "given_up" and info["score"] == 0.0
    env = make(desk_tokenizer, max_turns=2)
    begin(env, replace(NEED, told=(), patience=3))
    info = play(env, "At what time?", "Which day?")
    assert info["finish_reason"] == "length" and 0.1 < info["score"] <= 0.3
    assert info["response_is_action"][-1]  # nobody answers the last turn
    env = make(desk_tokenizer, max_reply_tokens=24)
    begin(env, replace(NEED, told=(), patience=3))
    info = play(env, "At what time, and which day?", "How many people?")
    assert info["finish_reason"] == "overflow"


def test_the_best_known_actions_serve_every_customer(desk_tokenizer: Path) -> None:
    env = make(desk_tokenizer)
    golds = []
    for seed in range(12):
        env.reset(seed=seed)
        ended = False
        while not ended:
            _, _, ended, _, info = env.step(env.best_known_action())
        golds.append(info["gold_score"])
        assert info["finish_reason"] == "solved"
    assert golds == pytest.approx([1.0] * 12)
    env.reset(options={"prompt": "Customer: Do you sell maps?\nAgent:"})
    with pytest.raises(ValueError, match="expected a customer with a need"):
        env.best_known_action()


def test_writing_the_customers_part_gains_nothing(desk_tokenizer: Path) -> None:
    env = make(desk_tokenizer, max_turn_tokens=80)
    facts = begin(env, replace(NEED, told=(), patience=1))
    all_told = wording.phrases(facts["values"], tuple(facts["values"]))
    info = play(env, f"At what time?{said(all_told, is_last=False)} Fine.", "Hm.")
    assert info["finish_reason"] == "given_up"
    # One question was asked; by the text alone the customer had told everything.
    assert info["gold_score"] <= 0.2
    assert gold_of(info["response"], facts) == pytest.approx(0.3)


def test_the_same_seed_gives_the_same_customer_words(desk_tokenizer: Path) -> None:
    env = make(desk_tokenizer)
    answers = set()
    for seed in (1, 1, 2, 3, 4):
        env.reset(seed=seed, options={"prompt_id": 0})
        play(env, "Hm.")
        answers.add((seed, env.task.tokenizer.decode(env.get_state().ids[0].tolist()[:60])))
    assert len(answers) == 4 and len({text for _, text in answers}) > 1


def test_a_prompt_of_ones_own_is_over_after_a_turn(desk_tokenizer: Path) -> None:
    env = make(desk_tokenizer, reward="length")
    env.reset(options={"prompt": "Customer: Do you sell maps?\nAgent:"})
    info = play(env, "No.")
    assert info["finish_reason"] == "over" and "gold_score" not in info


def test_rows_are_the_single_environment(desk_tokenizer: Path) -> None:
    envs = make(desk_tokenizer, DialogueVectorEnv, num_envs=3)
    singles = [make(desk_tokenizer) for _ in range(3)]
    observations, _ = envs.reset(seed=5)
    alone = [env.reset(seed=5 + row)[0] for row, env in enumerate(singles)]
    np.testing.assert_array_equal(observations, np.stack(alone))
    eos = envs.task.tokenizer.eos_ids[0]
    generator = rng(3)
    for _ in range(40):
        actions = np.where(generator.random(3) < 0.3, eos, generator.integers(5, 300, 3))
        observations, rewards, ended, _, infos = envs.step(actions)
        for row, env in enumerate(singles):
            own, reward, is_over, _, info = env.step(actions[row])
            assert (reward, is_over) == (rewards[row], ended[row])
            if is_over:
                final = infos["final_info"]
                assert final["response_is_action"][row] == info["response_is_action"]
                own, _ = env.reset()
            np.testing.assert_array_equal(own, observations[row])


@pytest.mark.parametrize("name", ["max_turns", "max_turn_tokens", "max_reply_tokens"])
def test_limits_are_checked(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, got 0"):
        DialogueConfig(**{name: 0})


# Data sets


def rows(*dialogues: list[str]) -> list[dict[str, Any]]:
    speakers = ("USER", "SYSTEM")
    return [
        {
            "dialogue_id": str(number),
            "turns": [
                {"speaker": speakers[place % 2], "utterance": text}
                for place, text in enumerate(dialogue)
            ],
        }
        for number, dialogue in enumerate(dialogues)
    ]


def write(folder: Path, items: list[dict[str, Any]]) -> str:
    path = folder / "dialogues.jsonl"
    path.write_text("\n".join(json.dumps(item) for item in items), encoding="utf-8")
    return str(path)


def test_dialogues_of_a_file_are_read_out(desk_tokenizer: Path, tmp_path: Path) -> None:
    lines = ["I need a cab.", "Where to?", "To the  station.", "When?", "Now.", "It comes."]
    path = write(tmp_path, rows(lines))
    env = make(desk_tokenizer, dataset=path, reward="rouge", max_prompt_tokens=90)
    _, info = env.reset(seed=0)
    assert info["prompt"] == "Customer: I need a cab.\nAgent:"
    info = play(env, "Where?", "When?", "Fine.", "Not asked any more.")
    assert info["finish_reason"] == "over" and "gold_score" not in info
    expected = " Where?\nCustomer: To the station.\nAgent: When?\nCustomer: Now.\nAgent: Fine."
    assert info["response"].strip() == expected.strip()
    (prompt,) = [env.task.prompts[0]]
    assert prompt.references == (
        "Where to?\nCustomer: To the station.\nAgent: When?\nCustomer: Now.\nAgent: It comes.",
    )


def test_data_sets_without_dialogues_are_refused(desk_tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="RLHF-Dialogue-v0 needs whole dialogues"):
        make(desk_tokenizer, dataset=write(tmp_path, [{"prompt": "Hello."}]), reward="rouge")
    with pytest.raises(ValueError, match="expected the texts of two turns or more in 'turns'"):
        make(desk_tokenizer, dataset=write(tmp_path, rows(["Hello."])), reward="rouge")


def test_turns_of_an_episode_are_the_two_sides(desk_tokenizer: Path) -> None:
    env = make(desk_tokenizer)
    begin(env, NEED)
    info = play(env, "Which day?", BOOKING, "Hm.")
    episode = Episode(
        prompt=env.task.prompts[0],
        prompt_ids=(1,),
        response_ids=info["response_ids"],
        response=info["response"],
        finish_reason=info["finish_reason"],
        response_is_action=info["response_is_action"],
    )
    sides = [turn.is_action for turn in episode_turns(episode)]
    assert sides == [place % 2 == 0 for place in range(len(sides))] and len(sides) >= 3
    assert load_tokenizer(desk_tokenizer).eos_ids[0] in episode_turns(episode)[0].ids
