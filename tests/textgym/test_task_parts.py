"""Arguments that contradict each other, and masks that would allow nothing, are refused by name."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.config import TextEnvConfig
from textgym.task_parts import mask_from, refuse_idle


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dataset_columns": "prompt=a"}, "dataset_columns='prompt=a' needs a dataset, got .*None"),
        ({"teacher": "beta=2"}, "teacher='beta=2' needs reward='teacher', got reward='model'"),
        ({"teacher_feedback": "language"}, "teacher_feedback='language' needs reward='teacher'"),
        ({"teacher_budget": 5.0, "reward": "gold"}, "teacher_budget=5.0 needs .* reward='gold'"),
        ({"teacher_prices": "score=2"}, "teacher_prices='score=2' needs reward='teacher'"),
        ({"teacher_store": "x.db"}, "teacher_store='x.db' needs reward='teacher'"),
    ],
)
def test_what_would_do_nothing_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make("RLHF-Summarize-v0", **given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dataset": "x.jsonl", "dataset_columns": "prompt=a"},
        {"reward": "teacher", "teacher": "beta=2", "teacher_budget": 5.0},
        {"reward": "0.5*model+teacher", "teacher_feedback": "language"},
        {"prompt_template": "{prompt} Well:"},  # of any prompts
    ],
)
def test_what_does_something_is_not(given: dict[str, Any]) -> None:
    refuse_idle(TextEnvConfig(**given))


def test_end_tokens_alone_cannot_be_masked() -> None:
    config = TextEnvConfig(min_new_tokens=2, action_tokens="2")
    with pytest.raises(ValueError, match=r"min_new_tokens=2 .*none of \(2, 9\), got .*'2'"):
        mask_from(config, np.array([2, 9]), (2, 9))
    mask = mask_from(config, np.array([2, 3]), (2, 9))
    assert mask is not None
    ids, lengths, prompt_lengths = np.zeros((1, 4), int), np.array([2]), np.array([1])
    assert mask(ids, lengths, prompt_lengths).tolist() == [[False, True]]
