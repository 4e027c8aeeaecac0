"""RLHF-NER-v0: the scheme by hand, sentences, the play of words and tags, data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO as StockPPO

import textgym  # noqa: F401
from textgym.agents.ppo import PPO
from textgym.envs_registry.draws import FastDraws
from textgym.envs_registry.ner_sentences.annotators import hasty_tags
from textgym.envs_registry.ner_sentences.gold import EntityF1, said_tags
from textgym.envs_registry.ner_sentences.scheme import (
    TAGS,
    check_tags,
    entities_of,
    entity_f1,
    prompt_text,
    tagged_text,
)
from textgym.envs_registry.ner_sentences.sentences import HastySentences, NERSentences
from textgym.rollout import rollout
from textgym.types import Episode, Prompt

ID = "RLHF-NER-v0"
WORDS = ["Anna", "Lopez", "left", "Oslo"]
TRUE = ["B-person", "I-person", "O", "B-location"]
ROWS = [
    {"tokens": WORDS, "tags": TRUE},
    {"tokens": ["nothing", "here"], "tags": ["O", "O"]},
]


def episode(response: str, words: list[str] = WORDS, tags: list[str] = TRUE) -> Episode:
    return Episode(
        prompt=Prompt(prompt_id=0, text=prompt_text(words), facts={"words": words, "tags": tags}),
        prompt_ids=(1,),
        response_ids=(2,),
        response=response,
        finish_reason="tagged",
    )


@pytest.fixture
def rows_file(tmp_path: Path) -> Any:
    def write(rows: list[dict[str, Any]]) -> str:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["O", "O"], set()),
        (["B-person", "I-person"], {(0, 2, "person")}),
        (["B-person", "B-person"], {(0, 1, "person"), (1, 2, "person")}),
        (["I-group", "I-group"], {(0, 2, "group")}),
        (["B-person", "I-group", "O"], {(0, 1, "person"), (1, 2, "group")}),
        (["B-product", "O", "I-product"], {(0, 1, "product"), (2, 3, "product")}),
        (["B-creative-work", "I-creative-work"], {(0, 2, "creative-work")}),
    ],
)
def test_entities(tags: list[str], expected: set[Any]) -> None:
    assert entities_of(tags) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (TRUE, 1.0),
        (["O"] * 4, 0.0),
        (["B-person", "I-person", "O", "O"], 2 / 3),
        (["B-person", "O", "O", "B-location"], 0.5),
        (["B-group", "I-group", "O", "B-location"], 0.5),
        (["B-person", "I-person", "B-group", "B-location"], 0.8),
    ],
)
def test_f1(said: list[str], expected: float) -> None:
    assert entity_f1(said, TRUE) == pytest.approx(expected)
    gold = EntityF1()([episode(tagged_text(WORDS, said))])
    assert gold == pytest.approx([expected]) and gold.dtype == np.float32


def test_nothing_to_find_is_found_by_silence() -> None:
    assert entity_f1(["O"], ["O"]) == 1.0 and entity_f1(["B-group"], ["O"]) == 0.0


def test_tags_are_read_off_the_response() -> None:
    assert said_tags(episode("<B-person> Lopez<I-person> left<O> Oslo<B-location>")) == TRUE
    assert said_tags(episode("<B-person> Lopez")) == ["B-person", "O", "O", "O"]
    assert said_tags(episode("<O>" * 9)) == ["O"] * 4


def test_bad_tags_are_refused() -> None:
    with pytest.raises(ValueError, match="tag 'B-animal' of 'left' is outside the scheme"):
        check_tags(WORDS, ["O", "O", "B-animal", "O"])
    with pytest.raises(ValueError, match="one tag for each of the 4 words, got 2"):
        check_tags(WORDS, ["O", "O"])
    with pytest.raises(ValueError, match="at least one word, got none"):
        check_tags([], [])


def test_sentences_carry_their_truth() -> None:
    source = NERSentences(0, "train")
    kinds: set[str] = set()
    for index in range(200):
        prompt = source[index]
        words, tags = prompt.facts["words"], prompt.facts["tags"]
        check_tags(words, tags)
        kinds |= {kind for _, _, kind in entities_of(tags)}
        assert entities_of(tags), prompt.text
        assert prompt.text == prompt_text(words)
        told = episode(prompt.references[0], words, tags)
        assert EntityF1()([told]) == [1.0]
    assert len(kinds) == 6


def test_splits_share_no_sentence() -> None:
    texts = [{NERSentences(s, split)[i].text.lower() for s in (0, 1) for i in range(300)}
             for split in ("train", "validation", "test")]  # fmt: skip
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])


def test_some_names_are_of_several_types() -> None:
    kinds: dict[str, set[str]] = {}
    for index in range(1500):
        facts = NERSentences(0, "train")[index].facts
        for start, end, kind in entities_of(facts["tags"]):
            if end == start + 1:
                kinds.setdefault(facts["words"][start].lower(), set()).add(kind)
    assert kinds["jordan"] == {"person", "location", "corporation"}


def test_haste_costs() -> None:
    source = HastySentences(0, "train")
    found = [source[i] for i in range(400)]
    golds = [
        float(EntityF1()([episode(p.references[0], p.facts["words"], p.facts["tags"])])[0])
        for p in found
    ]
    assert 0.5 < np.mean(golds) < 0.75


def test_haste_overlooks_cuts_and_mistakes() -> None:
    rng = FastDraws(np.random.SeedSequence(0))
    tags = ["B-person", "I-person", "O"]
    seen = {tuple(hasty_tags(tags, rng)) for _ in range(300)}
    assert {tuple(tags), ("O", "O", "O"), ("B-person", "O", "O"), ("B-group", "I-group", "O")} <= (
        seen
    )
    assert all(found[2] == "O" for found in seen)


def test_words_come_one_by_one() -> None:
    env: Any = gym.make(ID, device="cpu")
    _, info = env.reset(options={"prompt_id": 3})
    core = env.unwrapped
    facts = core.task.prompts[3].facts
    assert info["prompt"] == prompt_text(facts["words"])
    for index, tag in enumerate(facts["tags"]):
        assert core.best_known_action() == TAGS.index(tag)
        obs, _, ended, _, info = env.step(TAGS.index(tag))
        assert ended == (index == len(facts["tags"]) - 1)
    assert info["response"] == tagged_text(facts["words"], facts["tags"])
    assert info["finish_reason"] == "tagged" and info["gold_score"] == 1.0
    assert sum(info["response_is_action"]) == len(facts["words"])
    assert obs in env.observation_space


def test_prompt_of_ones_own() -> None:
    env = gym.make(ID, device="cpu")
    env.reset(options={"prompt": "Anna left Oslo\nAnna"})
    ended, info = False, {}
    while not ended:
        _, _, ended, _, info = env.step(0)
    assert info["response"] == "<O> left<O> Oslo<O>" and "gold_score" not in info


def test_data_set(rows_file: Any) -> None:
    env: Any = gym.make(ID, dataset=rows_file(ROWS), reward="gold", kl_coef=0.0, device="cpu")
    for prompt_id, tags in enumerate([TRUE, ["O", "O"]]):
        _, info = env.reset(options={"prompt_id": prompt_id})
        assert info["prompt"].split("\n")[0] == " ".join(ROWS[prompt_id]["tokens"])
        for tag in tags:
            _, reward, _, _, info = env.step(TAGS.index(tag))
        assert reward == info["gold_score"] == 1.0


def test_splits_of_a_data_set_are_of_one_width(rows_file: Any) -> None:
    rows = [{"tokens": ["so"] * n, "tags": ["O"] * n} for n in range(1, 21) for _ in range(3)]
    path = rows_file(
        [{**row, "tokens": [f"w{i}", *row["tokens"][1:]]} for i, row in enumerate(rows)]
    )
    spaces = {
        str(gym.make(ID, dataset=path, split=split).observation_space)
        for split in ("train", "validation", "test")
    }
    assert len(spaces) == 1


def test_data_set_with_other_columns(rows_file: Any) -> None:
    path = rows_file([{"words": WORDS, "ner_tags": TRUE}])
    env: Any = gym.make(ID, dataset=path, dataset_columns="prompt=words,tags=ner_tags")
    assert env.unwrapped.task.prompts[0].facts["tags"] == TRUE


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": WORDS, "tags": ["O", "B-animal", "O", "O"]}, "prompt 0.*'B-animal'.*outside"),
        ({"tokens": WORDS, "tags": ["O"]}, "one tag for each of the 4 words, got 1"),
        ({"tokens": WORDS, "tags": "O O O O"}, "expected a list of tags, got 'O O O O'"),
        ({"tokens": ["a<O>b"], "tags": ["O"]}, "words without symbols of tags, got 'a<O>b'"),
        ({"prompt": "Anna left"}, "needs a BIO tag for each word"),
        ({"tokens": ["so"] * 30, "tags": ["O"] * 30}, "has 30 words.*at least 30, got 20"),
        (
            {"tokens": ["so", "\u4f60" * 40], "tags": ["O"] * 2},
            "take 121 tokens.*at least 121, got 48",
        ),
    ],
)
def test_bad_data_sets_are_refused(rows_file: Any, row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(ID, dataset=rows_file([row]))


def test_other_actions_are_refused(tiny_model_folder: Path) -> None:
    with pytest.raises(ValueError, match="the actions of RLHF-NER-v0 are fixed.*got '3,4'"):
        gym.make(ID, action_tokens="3,4")
    with pytest.raises(ValueError, match="'<O>' is one token"):
        gym.make(ID, reference_model=str(tiny_model_folder))


def test_agents_play() -> None:
    agent = PPO("TransformerPolicy", ID, n_envs=4, n_steps=32, batch_size=64, n_epochs=1)
    agent.learn(128)
    assert agent.num_timesteps == 128
    stock = StockPPO("MlpPolicy", gym.make(ID), n_steps=16, batch_size=16, device="cpu")
    stock.learn(16)
    assert stock.num_timesteps == 16


def test_vector_rows_tag_apart() -> None:
    envs = gym.make_vec(ID, num_envs=3, reward="gold", kl_coef=0.0)
    episodes = rollout(envs, None, 6, seed=0, prompt_ids=[5, 1, 4, 0, 2, 3])
    for one, prompt_id in zip(episodes, [5, 1, 4, 0, 2, 3], strict=True):
        assert one.prompt.prompt_id == prompt_id
        assert len(one.rewards) == len(one.prompt.facts["words"])
        assert one.score == one.gold_score == pytest.approx(sum(one.rewards))
