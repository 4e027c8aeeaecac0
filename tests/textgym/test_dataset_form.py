"""What an environment makes of a user's data set, and what it says where columns lack."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.config import TextEnvConfig
from textgym.dataset_form import DatasetForm, FormedPrompts
from textgym.file_prompts import FilePrompts
from textgym.prompts import PromptList, PromptSource
from textgym.rewards.functions import FunctionReward
from textgym.task_models import text_task
from textgym.types import Episode, Prompt

ROWS = [{"context": f"It is {i}.", "ask": "what?", "answers": [{"text": str(i)}]} for i in range(3)]


def question_form(prompt: Prompt) -> Prompt:
    if not prompt.text:
        raise ValueError("expected a passage, got ''")
    return replace(prompt, text=f"{prompt.text} {prompt.facts['question']}", prompt_id=99)


FORM = DatasetForm(
    env_id="Ask-v0",
    to_prompt=question_form,
    needs={"question": "a question", "reference": "answers"},
    columns="prompt=context,question=ask,reference=answers.0.text",
    names=("question",),
)


def questions() -> list[dict[str, str]]:
    return [{"prompt": "It is 7.", "question": "who?", "reference": "7"}]


def test_columns_are_recognised_mapped_and_formed(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in ROWS), "utf-8")
    known = FilePrompts(file, names=FORM.names, usual_columns=FORM.columns)
    named = FilePrompts(file, columns=FORM.columns, names=FORM.names)
    for source in (known, named):
        prompt = FORM.fit(source)[2]
        assert (prompt.prompt_id, prompt.text, prompt.references) == (2, "It is 2. what?", ("2",))
    with pytest.raises(ValueError, match="has no column 'prompt'"):
        FilePrompts(file)
    with pytest.raises(ValueError, match="names among .*'question'.*got 'title=ask'"):
        FilePrompts(file, columns="prompt=context,title=ask", names=FORM.names)


# Rows with other names than are known, and which column is which.
OTHER_NAMES = {
    "RLHF-NER-v0": (
        {"words": ["Ann", "left"], "labels": ["B-person", "O"]},
        {"prompt": "words", "tags": "labels"},
    ),
    "RLHF-QA-v0": (
        {"passage": "Ann left.", "asked": "Who left?", "said": "Ann"},
        {"prompt": "passage", "question": "asked", "reference": "said"},
    ),
    "RLHF-Dialogue-v0": (
        {"first": "Hello.", "all": ["Hello.", "Hi.", "Bye."]},
        {"prompt": "first", "turns": "all"},
    ),
}


@pytest.mark.parametrize("env_id", OTHER_NAMES)
def test_advice_that_is_followed_is_enough(env_id: str, tmp_path: Path) -> None:
    """Each environment asks for all columns that it needs at once, and then has them."""
    row, column_of = OTHER_NAMES[env_id]
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row), "utf-8")
    said = r"row 0 has no column 'prompt'; .* which is which with dataset_columns='(.*)'$"
    with pytest.raises(ValueError, match=said) as refused:
        gym.make(env_id, dataset=str(file), device="cpu")
    advice = str(refused.value).split("dataset_columns='")[1].rstrip("'")
    names = [part.removesuffix("=COLUMN") for part in advice.split(",")]
    assert set(names) == set(column_of)
    columns = ",".join(f"{name}={column_of[name]}" for name in names)
    env = gym.make(env_id, dataset=str(file), dataset_columns=columns, device="cpu")
    assert env.reset(seed=0)[1]["prompt"]
    with pytest.raises(ValueError, match=re.escape(f"dataset_columns='{advice}'")):
        first = names[0]
        gym.make(env_id, dataset=str(file), dataset_columns=f"{first}={column_of[first]}")


def test_a_source_that_is_not_in_memory_is_formed_when_asked() -> None:
    class Lazy:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, i: int) -> Prompt:
            return Prompt(prompt_id=i, text=f"p{i}", references=("a",), facts={"question": "q"})

    formed = FORM.fit(Lazy())
    assert isinstance(formed, FormedPrompts) and len(formed) == 5
    assert formed[3].text == "p3 q" and formed[3].prompt_id == 3


def test_what_lacks_is_named_with_what_is_there() -> None:
    with pytest.raises(
        ValueError, match=r"Ask-v0 needs a question .* without 'question' .*\['a'\].*question=COLU"
    ):
        FORM.fit(PromptList([{"prompt": "x", "reference": "y", "a": 1}]))
    with pytest.raises(ValueError, match="Ask-v0 needs answers .* without 'reference'"):
        FORM.fit(PromptList([{"prompt": "x", "question": "y"}]))
    empty = {"prompt": "", "question": "y", "reference": "z"}
    with pytest.raises(ValueError, match="Ask-v0: prompt 1 of the dataset: expected a passage"):
        FORM.fit(PromptList([{**empty, "prompt": "x"}, empty]))


def test_the_task_has_the_forms_prompts_and_gold(tiny_model_folder: Path) -> None:
    gold = FunctionReward(lambda episodes: np.ones(len(episodes)), "gold")
    config = TextEnvConfig(
        dataset=f"{__name__}:questions", reference_model=str(tiny_model_folder), reward="length"
    )
    assert text_task(config).gold is None
    assert text_task(config).prompts[0].text == "It is 7."
    task = text_task(config, dataset_form=replace(FORM, gold=gold))
    assert task.prompts[0].text == "It is 7. who?" and task.gold is gold


def test_a_gold_is_learned_from_the_training_split(tiny_model_folder: Path) -> None:
    def learn(train: PromptSource) -> FunctionReward:
        if len(train) < 2:
            raise ValueError(f"expected 2 items, got {len(train)}")
        length = float(len(train[0].text))  # "train", before it was formed
        return FunctionReward(lambda episodes: np.full(len(episodes), length), "gold")

    form = replace(FORM, learn_gold=learn)
    config = TextEnvConfig(
        dataset=f"{__name__}:splits",
        reference_model=str(tiny_model_folder),
        reward="gold",
        split="validation",
    )
    task = text_task(config, dataset_form=form)
    assert task.prompts[0].text == "validation what?"
    assert task.gold is not None and task.gold([EPISODE]).tolist() == [len("train")]
    short = replace(config, dataset=f"{__name__}:questions")
    with pytest.raises(ValueError, match="Ask-v0: the dataset's gold: expected 2 items, got 1"):
        text_task(short, dataset_form=form)


def splits(split: str) -> list[dict[str, str]]:
    return [{"prompt": split, "question": "what?", "reference": "7"}] * 3


EPISODE = Episode(
    prompt=Prompt(prompt_id=0, text="x"),
    prompt_ids=(1,),
    response_ids=(2,),
    response="y",
    finish_reason="eos",
)
