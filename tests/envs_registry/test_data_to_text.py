"""RLHF-DataToText-v0: records, what people write of them, and the gold utility."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry import data_to_text
from textgym.envs_registry.data_to_text_records.gold import DataToTextGold, gold_terms
from textgym.envs_registry.data_to_text_records.grammar import read_sentence, read_text
from textgym.envs_registry.data_to_text_records.humans import ideal_text
from textgym.envs_registry.data_to_text_records.lexicon import FIELDS, KINDS, NAMES, PREDICATES
from textgym.envs_registry.data_to_text_records.records import HastyRecords, Records
from textgym.rewards.base import RewardFn, score_episodes
from textgym.types import Episode, Prompt

ID = "RLHF-DataToText-v0"
FACTS = {"kind": "cafe", "name": "Blue Fox", "food": "Thai", "near": "bridge"}
IDEAL = "Blue Fox is a cafe and serves Thai food. It is near the bridge."


def gold(response: str, finish_reason: str = "eos", facts: dict[str, str] = FACTS) -> float:
    return sum(gold_terms(facts, response, finish_reason).values())


@pytest.fixture(scope="module")
def records() -> list[Prompt]:
    source = Records(0, "test")
    return [source[i] for i in range(300)]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (IDEAL, 1.0),
        (" blue fox is a cafe, offers thai dishes and stands by the bridge.", 1.0),
        # "The cafe" tells the kind; the name is missing.
        ("The cafe serves Thai food.", 2 / 4),
        ("Blue Fox serves Thai food.", 2 / 4),
        # Wrong value: nothing for the field, and .25 off.
        ("Blue Fox is a cafe and serves Greek food.", 2 / 4 - 0.25),
        # Of a field that the record does not have.
        ("Blue Fox is a cafe and has four stars.", 2 / 4 - 0.25),
        # Another name, another kind.
        ("Red Moon is a cafe.", 1 / 4 - 0.25),
        ("The hotel serves Thai food. Blue Fox is near the bridge.", 3 / 4 - 0.25),
        ("It serves Thai food. It cooks Thai meals.", 1 / 4 - 0.1),
        # 3 of 8 words are stray.
        ("Blue Fox serves Thai food. cafe Fox bridge.", 2 / 4 - 0.4 * 3 / 8),
        # One broken predicate spoils its sentence.
        ("Blue Fox is a cafe and serves food.", 0.0),
        ("", 0.0),
        ("Thai bridge cafe Blue Fox", 0.0),
    ],
)
def test_hand_worked(response: str, expected: float) -> None:
    assert gold(response) == pytest.approx(max(0.0, expected))


def test_an_end_is_wanted() -> None:
    assert gold(IDEAL, "length") == pytest.approx(0.9)
    assert gold(IDEAL, "stop") == 1.0
    # The last sentence is not closed: 5 of its words are stray.
    assert gold(IDEAL[:-1]) == pytest.approx(3 / 4 - 0.4 * 5 / 14 - 0.1)


@pytest.mark.parametrize(
    "sentence",
    [
        "Blue Fox is a cafe and serves Thai food and is near the bridge.",
        "Blue Fox is a cafe, serves Thai food.",
        "Blue Fox is a cafe, serves Thai food, is near the bridge and has four stars.",
        "Blue Fox is a cafe and, serves Thai food.",
        "Blue Fox and is a cafe.",
        "Blue Fox is a cafe",
        "Blue Fox is a cafe!",
        "Blue is a cafe.",
        "Blue Fox.",
        ".",
    ],
)
def test_what_is_no_sentence(sentence: str) -> None:
    assert read_sentence(sentence) is None


def test_every_predicate_is_read_as_what_it_says() -> None:
    values = {**FIELDS, "kind": tuple(KINDS)}
    for name, templates in PREDICATES.items():
        for template in templates:
            for value in values[name]:
                read = read_sentence(f"It {template.format(**{name: value})}.")
                assert read is not None and read.claims == ((name, value),), (template, value)


def test_tables_fit_each_other() -> None:
    assert set(PREDICATES) == set(FIELDS) | {"kind"}
    assert {name for fields in KINDS.values() for name in fields} == set(FIELDS)
    assert len(set(NAMES)) == len(NAMES) == 256
    texts = [*NAMES, *KINDS, *(v for values in FIELDS.values() for v in values)]
    assert not [text for text in texts if "," in text or " and " in text]


def test_records_tell_their_fields(records: list[Prompt]) -> None:
    for prompt in records:
        kind, fields = prompt.facts["kind"], list(prompt.facts)[2:]
        assert 2 <= len(fields) <= 4 and set(fields) <= set(KINDS[kind])
        lines = prompt.text.removesuffix("\n\nTEXT:").split("\n")
        assert lines == [f"{name}: {value}" for name, value in prompt.facts.items()]
        assert prompt.facts.get("start", 0) != prompt.facts.get("goal", 1)
        assert json.loads(json.dumps(prompt.facts)) == prompt.facts


def test_the_order_of_fields_makes_no_other_record() -> None:
    source = Records(0, "train")
    facts = dict(source[0].facts)
    assert source.identity(facts) == source.identity(dict(reversed(facts.items())))
    assert source.identity(facts) != source.identity({**facts, "name": "Red Moon"})


def test_careful_people_stay_below_the_ideal(records: list[Prompt]) -> None:
    ideal = [gold(ideal_text(p.facts), facts=dict(p.facts)) for p in records]
    human = [gold(p.references[0], facts=dict(p.facts)) for p in records]
    assert ideal == pytest.approx([1.0] * len(records))
    assert 0.8 < np.mean(human) < 0.95 and max(human) <= 1.0
    for prompt in records:
        reading = read_text(prompt.references[0])
        assert reading.num_stray_words == 0 and reading.is_closed, prompt.references[0]


def test_people_in_a_hurry_write_worse_of_the_same_records(records: list[Prompt]) -> None:
    source = HastyRecords(0, "test")
    hasty = [source[prompt.prompt_id] for prompt in records]
    assert [(p.text, p.facts) for p in hasty] == [(p.text, p.facts) for p in records]
    terms = [gold_terms(p.facts, p.references[0], "eos") for p in hasty]
    assert 0.55 < np.mean([sum(found.values()) for found in terms]) < 0.68
    share = {name: np.mean([found[name] != 0 for found in terms]) for name in terms[0]}
    assert 0.4 < share["invented"] < 0.6 and 0.05 < share["repetition"] < 0.2
    assert np.mean([found["covered"] < 1 for found in terms]) > 0.6
    assert share["fluency"] == share["ending"] == 0


def test_cheap_texts_do_not_pay(records: list[Prompt]) -> None:
    human = np.mean([gold(p.references[0], facts=dict(p.facts)) for p in records])
    for cheap in (
        [p.text for p in records],
        [p.references[0] for p in [*records[1:], records[0]]],
        [" ".join(f"It {PREDICATES[n][0].format(**{n: v})}." for n in ("near", "area", "food")
                  for v in FIELDS[n]) for _ in records],
        ["It is a cafe. It is a hotel. It is a film. It is a train. It is a flat."] * len(records),
    ):  # fmt: skip
        scores = [gold(text, facts=dict(p.facts)) for text, p in zip(cheap, records, strict=True)]
        assert np.mean(scores) < 0.15 < human


def episode(prompt: Prompt, response: str) -> Episode:
    return Episode(
        prompt=prompt, prompt_ids=(1,), response_ids=(2,), response=response, finish_reason="eos"
    )


def test_reward_function(records: list[Prompt]) -> None:
    reward = DataToTextGold()
    assert isinstance(reward, RewardFn)
    episodes = [episode(p, " " + p.references[0]) for p in records[:20]]
    expected = [gold(p.references[0], facts=dict(p.facts)) for p in records[:20]]
    assert score_episodes(reward, episodes).scores.tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match="gold needs the fields of a record.* got {} for prompt_i"):
        reward([episode(Prompt(prompt_id=4, text="hello"), "hi")])


@pytest.fixture
def models(tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, Any]:
    return {
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "device": "cpu",
    }


def write(rows: list[dict[str, Any]], file: Path) -> str:
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("row", "columns", "text"),
    [
        ({"concepts": ["dog", "run"], "scene": ["A dog runs.", "Run!"]}, None, "dog run"),
        ({"mr": "name[Ann]", "ref": "Ann."}, "prompt=mr,reference=ref", "name[Ann]"),
        (
            {"tripleset": [["A", "IS", "b"], ["A", "HAS", "c"]], "annotations": [{"text": "A."}]},
            "prompt=tripleset,reference=annotations.*.text",
            "A | IS | b\nA | HAS | c",
        ),
    ],
)
def test_other_records(
    row: dict[str, Any], columns: str | None, text: str, models: dict[str, Any], tmp_path: Path
) -> None:
    data = {"dataset": write([row], tmp_path / "rows.jsonl"), "dataset_columns": columns}
    env: Any = gym.make(ID, reward="0.5*model+0.5*gold", max_new_tokens=1, **data, **models)
    assert env.reset(seed=0)[1]["prompt"] == f"{text}\n\nTEXT:"
    info = env.step(40)[4]
    assert 0.0 <= info["gold_score"] <= 1.0
    task = env.unwrapped.task
    right = episode(task.prompts[0], task.prompts[0].references[0])
    assert task.gold([right]).tolist() == [1.0]


def test_records_without_a_text_or_anything(models: dict[str, Any], tmp_path: Path) -> None:
    file = write([{"mr": "name[Ann]"}], tmp_path / "bare.jsonl")
    with pytest.raises(ValueError, match="DataToText-v0 needs a text for each record .*reference"):
        gym.make(ID, dataset=file, dataset_columns="prompt=mr", **models)
    file = write([{"mr": " ", "ref": "x"}], tmp_path / "empty.jsonl")
    with pytest.raises(ValueError, match="prompt 0 of the dataset: expected a record, got ' '"):
        gym.make(ID, dataset=file, dataset_columns="prompt=mr,reference=ref", **models)
    row = {"tripleset": "A", "annotations": "A."}
    file = write([row], tmp_path / "text.jsonl")
    with pytest.raises(ValueError, match="row 0: expected a list in column 'annotations', got str"):
        gym.make(
            ID,
            dataset=file,
            dataset_columns="prompt=tripleset,reference=annotations.*.text",
            **models,
        )


@pytest.mark.skipif(not data_to_text.BUNDLE.folder.is_dir(), reason="no models are built here")
def test_the_bundle_says_what_the_environment_does() -> None:
    card = json.loads((data_to_text.BUNDLE.folder / "card.json").read_text("utf-8"))
    measured = card["measured"]["reference_model"]["gold_sampled"]
    assert data_to_text.GOLD_SCALE[0] == pytest.approx(measured["mean"], abs=0.01)
    assert card["recipe"]["max_new_tokens"] == data_to_text.DEFAULTS["max_new_tokens"]
