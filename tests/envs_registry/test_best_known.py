"""What each task of text says is best: gold 1 when it is written, above what people wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import textgym  # noqa: F401
from textgym.testing import Case, measure_gold
from textgym.testing.known_policies import best_texts
from textgym.types import Episode, Prompt

COUNT = 40
PERFECT = (
    "RLHF-Summarize-v0",
    "RLHF-Hackable-v0",
    "RLHF-Sentiment-v0",
    "RLHF-DataToText-v0",
    "RLHF-Story-v0",
    "RLHF-Translate-v0",
    "RLHF-QA-v0",
)


@pytest.mark.parametrize("env_id", PERFECT)
def test_the_best_known_response_is_the_best_there_is(env_id: str) -> None:
    """Written token by token, end token included, by the environment's own actions."""
    found = measure_gold(Case(id=env_id, kwargs={"split": "test", "device": "cpu"}), COUNT)
    assert found.episodes["best_known"] == pytest.approx([1.0] * COUNT)
    assert found.human is not None and found.human.high < 1.0


# Columns beside the mapped ones, called as the facts of the environment's own prompts are.
POST = {"prompt": "my cat", "reference": "a cat", "question": "why?", "pronoun": "she"}
NAMESAKES: dict[str, dict[str, Any]] = {
    "RLHF-Summarize-v0": POST,
    "RLHF-Hackable-v0": POST,
    "RLHF-MultiObjective-v0": POST,
    "RLHF-Sentiment-v0": {"text": "an old film", "mean_sentiment": 1, "opinions": ["a"]},
    "RLHF-DataToText-v0": {"concepts": ["a", "pub"], "scene": "A pub.", "kind": "b", "name": "x"},
    "RLHF-Story-v0": {"title": "Once", "fable": "A cat.", "things": ["a"]},
    "RLHF-Translate-v0": {"en": "a cat", "es": "un gato", "translation": {"en": "a", "es": "b"}},
}


def data_set(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return str(path)


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
@pytest.mark.parametrize("env_id", NAMESAKES)
def test_of_a_data_set_nothing_is_known_whatever_its_columns_are_called(
    env_id: str, make: Any, tmp_path: Path
) -> None:
    """Then what people wrote is the best known."""
    columns = NAMESAKES[env_id]
    opposite = {**columns, "mean_sentiment": -1} if "mean_sentiment" in columns else columns
    file = data_set(tmp_path / "own.jsonl", [columns, opposite])
    core: Any = make(env_id, dataset=file, device="cpu").unwrapped
    prompt = core.task.prompts[0]
    assert prompt.facts  # the other columns
    assert core.best_known_response(prompt) == ""
    assert best_texts(core, [0]) == [prompt.references[0]]


def test_what_is_best_of_questions_of_a_data_set_is_known(tmp_path: Path) -> None:
    """Their answers are: the first, or a refusal where the passage does not say."""
    rows = [
        {"prompt": "It is 7.", "question": "What?", "reference": ["7", "seven"]},
        {"prompt": "It is 8.", "question": "Who?", "reference": []},
    ]
    # A column of the same name as the fact, in another form: the fact is of what was mapped.
    named = {"prompt": "It is 9.", "question": "What?", "reference": "9", "answers": {"text": [1]}}
    for items, expected in ((rows, ["7", "not in the text"]), ([named], ["9"])):
        file = data_set(tmp_path / "squad.jsonl", items)
        core: Any = gym.make("RLHF-QA-v0", dataset=file, device="cpu").unwrapped
        prompts = [core.task.prompts[index] for index in range(len(items))]
        texts = [core.best_known_response(prompt) for prompt in prompts]
        assert texts == expected
        episodes = [
            Episode(prompt=p, prompt_ids=(), response_ids=(), response=t, finish_reason="eos")
            for p, t in zip(prompts, texts, strict=True)
        ]
        assert core.task.gold(episodes).tolist() == [1.0] * len(items)


@pytest.mark.parametrize("env_id", PERFECT)
def test_of_a_prompt_of_ones_own_nothing_is_known(env_id: str) -> None:
    core: Any = gym.make(env_id, num_prompts=2, device="cpu").unwrapped
    assert core.best_known_response(Prompt(prompt_id=-1, text="of one's own")) == ""
