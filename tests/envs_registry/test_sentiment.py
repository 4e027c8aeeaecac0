"""RLHF-Sentiment-v0: what is particular to it, with tiny random models; other data by arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import textgym  # noqa: F401
from textgym.envs_registry import sentiment
from textgym.envs_registry.recipes import bundle_parts
from textgym.envs_registry.sentiment_recipe import RECIPE
from textgym.task_models import Bundle

ID = "RLHF-Sentiment-v0"
COLUMNS = "prompt=text,sentiment=mean_sentiment"


@pytest.fixture
def models(tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, Any]:
    return {
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "device": "cpu",
    }


def rated(path: Path, count: int = 30) -> str:
    """Reviews whose second half praises where the rating is high."""
    rows = [
        {
            "text": f"film number {i} was {'a lovely warm joy' if i % 2 else 'an awful cold bore'}",
            "mean_sentiment": 3.5 if i % 2 else -3.0,
        }
        for i in range(count)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return str(path)


def said(env: gym.Env, text: str) -> dict[str, Any]:
    """Play the tokens of a text, then the end token."""
    core: Any = env.unwrapped
    env.reset(options={"prompt_id": 0})
    for token in [*core.tokenizer.encode(text), core.eos_ids[0]]:
        info = env.step(token)[4]
    return info


def test_score_and_gold_side_by_side(models: dict[str, Any]) -> None:
    env = gym.make(ID, max_new_tokens=60, max_prompt_tokens=200, **models)
    prompt = env.get_wrapper_attr("task").prompts[0]
    _, info = env.reset(options={"prompt_id": 0})
    assert info["prompt"] == prompt.text and prompt.text.endswith("\n\nContinued:")
    info = said(env, " I can recommend it.")
    assert info["gold_score"] == pytest.approx(0.5) and info["score"] != info["gold_score"]
    assert said(env, " I can it recommend.")["gold_score"] == 0.0


def test_lengths_and_human_references_of_the_recipe(models: dict[str, Any]) -> None:
    core: Any = gym.make(ID, **models).unwrapped
    assert core.max_prompt_tokens == RECIPE["max_prompt_tokens"]
    assert core.max_new_tokens == RECIPE["max_new_tokens"]
    # The reference model imitates others than those whom the environment shows.
    sources = bundle_parts(ID).prompts(0)
    shown = gym.make(ID, split="validation", **models).get_wrapper_attr("task").prompts
    assert [sources["evaluation"][i] for i in range(5)] == [shown[i] for i in range(5)]
    assert sources["validation"][0].text == shown[0].text
    assert [sources["validation"][i].references for i in range(5)] != [
        shown[i].references for i in range(5)
    ]


@pytest.mark.parametrize("columns", [None, COLUMNS])
def test_rated_reviews_are_cut_in_two_and_have_a_gold(
    models: dict[str, Any], tmp_path: Path, columns: str | None
) -> None:
    file = rated(tmp_path / "reviews.jsonl")
    golds = []
    for split in ("train", "validation"):
        env = gym.make(
            ID, dataset=file, dataset_columns=columns, split=split, max_new_tokens=60, **models
        )
        prompt = env.get_wrapper_attr("task").prompts[0]
        assert prompt.text.startswith("Review\n\nfilm number ") and prompt.text.endswith("d:")
        assert len(prompt.references[0].split()) == 4
        golds.append([said(env, text)["gold_score"] for text in (" a lovely joy", " awful, cold")])
    assert golds[0][0] > 0.7 > 0.3 > golds[0][1]
    assert golds[0] == golds[1]  # learned from the training split, whatever is played


def test_texts_with_references_stay_whole(models: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"o": f"begin {i}", "r": f"end {i}", "s": i} for i in range(3)]
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    columns = "prompt=o,reference=r,sentiment=s"
    env = gym.make(ID, dataset=str(file), dataset_columns=columns, reward="gold", **models)
    prompt = env.get_wrapper_attr("task").prompts[1]
    assert prompt.text == "Review\n\nbegin 1\n\nContinued:" and prompt.references == ("end 1",)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([{"text": "a b"}], "prompt=text", "needs a human rating of each text .*'sentiment'"),
        ([{"t": "a", "s": "good"}], "prompt=t,sentiment=s", "must be a finite number, got 'good'"),
        ([{"t": "a", "s": 1}, {"t": "b", "s": 1}], "prompt=t,sentiment=s", "ratings must differ"),
        (
            [{"t": " ", "s": 1}, {"t": "b", "s": 2}],
            "prompt=t,sentiment=s",
            "prompt 0 of the dataset: expected the text of a review, got ' '",
        ),
        ([{"t": "a", "s": 1}], "prompt=t,rating=s", "names among .*'sentiment'"),
    ],
)
def test_a_dataset_that_lacks_what_the_task_needs(
    models: dict[str, Any],
    tmp_path: Path,
    rows: list[dict[str, Any]],
    columns: str,
    message: str,
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    with pytest.raises(ValueError, match=message):
        gym.make(ID, dataset=str(file), dataset_columns=columns, **models)


def test_missing_bundle_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sentiment, "BUNDLE", Bundle(env_id=ID, folder=tmp_path))
    with pytest.raises(ValueError, match="no bundled reference_model.*build RLHF-Sentiment-v0"):
        gym.make(ID)
