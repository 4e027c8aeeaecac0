"""RLHF-QA-v0: what is particular to it, with tiny random models; other data by arguments."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from textgym.envs_registry import qa
from textgym.envs_registry.qa import QAEnv
from textgym.envs_registry.qa_passages.answers import ideal_answer
from textgym.envs_registry.qa_passages.lexicon import REFUSALS
from textgym.envs_registry.qa_recipe import QUICK, RECIPE
from textgym.task_models import Bundle
from textgym.types import Prompt
from textgym.wrappers import MessageAction

ID = "RLHF-QA-v0"
SQUAD = [
    {
        "title": "Bowl",
        "context": f"The Panthers won. They gave up {i} points.",
        "question": "How many points?",
        "answers": [{"answer_start": 21, "text": str(i)}],
    }
    for i in range(30)
]


@pytest.fixture
def models(tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, Any]:
    return {
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "device": "cpu",
    }


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    return str(path)


def answered(env: gym.Env, text: str) -> dict[str, Any]:
    """Play the tokens of a text, then the end token."""
    core: Any = env.unwrapped
    env.reset(options={"prompt_id": 0})
    for token in [*core.tokenizer.encode(text), core.eos_ids[0]]:
        info = env.step(token)[4]
    return info


def test_score_and_gold_side_by_side(models: dict[str, Any]) -> None:
    env = QAEnv(max_new_tokens=40, max_prompt_tokens=200, **models)
    prompt = env.get_wrapper_attr("task").prompts[0]
    _, info = env.reset(options={"prompt_id": 0})
    assert info["prompt"] == prompt.text and prompt.text.endswith("?\nAnswer:")
    right = prompt.facts["answers"][0] if prompt.facts["answers"] else "not in the text"
    info = answered(env, f" {right}")
    assert info["gold_score"] == 1.0 and info["score"] != 1.0
    assert answered(env, " of the")["gold_score"] == 0.0


def test_defaults_are_those_of_the_recipe(models: dict[str, Any]) -> None:
    core: Any = QAEnv(**models).unwrapped
    assert core.max_prompt_tokens == RECIPE["max_prompt_tokens"]
    assert core.max_new_tokens == RECIPE["max_new_tokens"]
    assert RECIPE["env_id"] == ID and set(QUICK) < set(RECIPE) | {
        "n_normalisation", "n_held_out_prompts", "n_evaluation"
    }  # fmt: skip


def test_squad_columns_are_known_and_have_a_gold(models: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path / "squad.jsonl.gz", SQUAD)
    env = QAEnv(dataset=file, max_new_tokens=20, max_prompt_tokens=90, **models)
    prompt = env.get_wrapper_attr("task").prompts[0]
    number = prompt.references[0]
    assert prompt.text == (
        f"The Panthers won.\nThey gave up {number} points.\n\nQuestion: How many points?\nAnswer:"
    )
    assert prompt.facts["answers"] == [number] and prompt.facts["title"] == "Bowl"
    assert answered(env, f" {number} points")["gold_score"] == pytest.approx(2 / 3)
    texts = set()
    for split in ("train", "validation", "test"):
        prompts = QAEnv(dataset=file, split=split, **models).get_wrapper_attr("task").prompts
        texts |= {prompts[i].text for i in range(len(prompts))}
    assert len(texts) == 30


def test_squad_rows_with_several_answers_and_with_none(
    models: dict[str, Any], tmp_path: Path
) -> None:
    several = {**SQUAD[3], "answers": [{"text": "3"}, {"text": "three"}]}
    none = {**SQUAD[4], "answers": []}
    file = write(tmp_path / "squad.jsonl.gz", [several, none])
    env = QAEnv(dataset=file, reward="gold", **models)
    prompts = env.get_wrapper_attr("task").prompts
    assert [prompts[i].facts["answers"] for i in (0, 1)] == [["3", "three"], []]
    assert answered(env, " three")["score"] == 1.0


def test_mapped_columns_and_questions_without_an_answer(
    models: dict[str, Any], tmp_path: Path
) -> None:
    rows = [
        {"p": "It is 7.", "q": "What?", "a": ["7", "seven"]},
        {"p": "It is 8.", "q": "Who?", "a": []},
    ]
    file = write(tmp_path / "own.jsonl.gz", rows)
    columns = "prompt=p,question=q,reference=a"
    env = QAEnv(dataset=file, dataset_columns=columns, reward="gold", **models)
    prompts = env.get_wrapper_attr("task").prompts
    assert [prompts[i].facts["answers"] for i in (0, 1)] == [["7", "seven"], []]
    assert answered(env, " seven")["score"] == 1.0


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ({"p": "It is 7.", "a": "7"}, "prompt=p,reference=a", "needs a question about each pass"),
        ({"p": "It is 7.", "q": "?"}, "prompt=p,question=q", "needs answers in the dataset"),
        ({"p": "x", "q": 3, "a": "7"}, "prompt=p,question=q,reference=a", "0 .*question, got 3"),
        ({"p": " ", "q": "?", "a": "7"}, "prompt=p,question=q,reference=a", "a passage, got ' '"),
        ({"p": "x", "q": "?", "a": "7"}, "prompt=p,question=k,reference=a", "no column 'k'"),
        ({"p": "x", "q": "?", "a": "7"}, "prompt=p,query=q", "names among .*'question'"),
        ({"p": "x"}, None, "no column 'prompt'"),
    ],
)  # fmt: skip
def test_a_dataset_that_lacks_what_the_task_needs(
    models: dict[str, Any], tmp_path: Path, row: dict[str, Any], columns: str | None, message: str
) -> None:
    file = write(tmp_path / "rows.jsonl.gz", [row])
    with pytest.raises(ValueError, match=message):
        QAEnv(dataset=file, dataset_columns=columns, **models)


def test_the_reward_model_ranks_right_above_what_was_not_asked_for_and_above_silence() -> None:
    """What is told of something else, that is; of whom it is told the small model does not see."""
    env = MessageAction(gym.make(ID, split="validation", device="cpu"))
    prompts = [env.get_wrapper_attr("task").prompts[i] for i in range(60)]

    def mean_score(write: Callable[[Prompt], str]) -> float:
        scores = []
        for prompt in prompts:
            env.reset(options={"prompt_id": prompt.prompt_id})
            scores.append(env.step(write(prompt))[4]["score"])
        return float(np.mean(scores))

    right = mean_score(lambda prompt: f" {ideal_answer(prompt.facts)}")
    not_asked_for = mean_score(lambda prompt: f" {_of_another_attribute(prompt)}")
    silent = mean_score(lambda prompt: "")
    refusing = mean_score(lambda prompt: f" {REFUSALS[0]}")
    assert right > max(not_asked_for, silent, refusing) + 0.3


def test_the_reward_model_is_wrong_where_it_is_told_of_the_other_person() -> None:
    """A known limit, which qa.py and docs/results.md state: when it goes, so must they."""
    env = MessageAction(gym.make(ID, split="validation", device="cpu"))
    margins = []
    for prompt_id in range(100):
        prompt = env.get_wrapper_attr("task").prompts[prompt_id]
        told = {attribute: value for _, attribute, value in prompt.facts["told"]}
        if prompt.facts["answers"] or prompt.facts["attribute"] not in told:
            continue
        scores = []
        for text in (told[prompt.facts["attribute"]], REFUSALS[0]):
            env.reset(options={"prompt_id": prompt_id})
            scores.append(env.step(f" {text}")[4]["score"])
        margins.append(scores[0] - scores[1])
    assert len(margins) >= 8 and min(margins) > 0


def _of_another_attribute(prompt: Prompt) -> str:
    """Return what the passage says of something else than what is asked, of whomever."""
    asked = prompt.facts["attribute"]
    return next(value for _, attribute, value in prompt.facts["told"] if attribute != asked)


def test_missing_bundle_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(qa, "BUNDLE", Bundle(env_id=ID, folder=tmp_path))
    with pytest.raises(ValueError, match="no bundled reference_model.*textgym build RLHF-QA-v0"):
        QAEnv()
