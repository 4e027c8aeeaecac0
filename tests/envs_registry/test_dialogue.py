"""RLHF-Dialogue-v0: whole episodes, limits, dialogues of a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textgym.envs_registry.dialogue import DialogueConfig, DialogueEnv, DialogueVectorEnv
from textgym.envs_registry.dialogue_desk import wording
from textgym.envs_registry.dialogue_desk.customer import said
from textgym.envs_registry.dialogue_desk.gold import DialogueGold
from textgym.envs_registry.dialogue_desk.needs import Need
from textgym.envs_registry.dialogue_desk.scripts import ScriptedCustomer
from textgym.envs_registry.dialogue_desk.source import DialoguePrompts
from textgym.tokenizer import load_tokenizer, train_sentencepiece
from textgym.turns import OpenEpisode, Turn, episode_turns
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


@pytest.fixture(scope="module")
def desk_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk_tokenizer")
    source = DialoguePrompts(0, "train")
    texts = [f"{source[i].text} {source[i].references[0]}" for i in range(300)]
    train_sentencepiece(texts, folder, 400)
    return folder


def test_a_line_that_is_too_long_loses_its_end(desk_tokenizer: Path) -> None:
    tokenizer = load_tokenizer(str(desk_tokenizer))
    long = " ".join(["a table for four on Friday"] * 30)
    prompt = Prompt(
        prompt_id=0, text="Customer: Hello.\nAgent:", facts={"script": [long, "at noon"]}
    )
    turn = Turn(ids=tuple(tokenizer.encode(" Hi.")), is_action=True)
    for room in (30, 31, 32, 33):
        customer = ScriptedCustomer(
            tokenizer=tokenizer, max_turns=6, max_turn_tokens=40, max_reply_tokens=room
        )
        episode = OpenEpisode(prompt=prompt, prompt_ids=(1,), turns=(turn,), end="eos", seed=0)
        (reply,) = customer.replies([episode])
        text = tokenizer.decode(reply.ids)
        assert text.startswith("\nCustomer: a table for four") and text.endswith("\nAgent:")
        kept = text.removeprefix("\nCustomer: ").removesuffix("\nAgent:")
        assert long.startswith(f"{kept} ")
        longer = said(long[: long.index(" ", len(kept) + 1)], is_last=False)
        assert len(reply.ids) <= room < len(tokenizer.encode(longer))
    whole = replace(customer, max_reply_tokens=1_000).replies([episode])[0]
    assert tokenizer.decode(whole.ids) == said(long, is_last=False)


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
    env = make(desk_tokenizer, reward="length")
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
    prompt = Prompt(prompt_id=0, text="", facts=facts)
    ids = {"prompt_ids": (1,), "response_ids": ()}
    text = Episode(prompt=prompt, response=info["response"], finish_reason="given_up", **ids)
    assert DialogueGold()([text]) == pytest.approx(0.3)


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
