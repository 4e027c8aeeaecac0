"""What each task of text says is best: gold 1 when it is written, above what people wrote."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

import textgym  # noqa: F401
from textgym.testing import Case, measure_gold
from textgym.types import Prompt

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


@pytest.mark.parametrize("env_id", PERFECT)
def test_an_item_of_a_data_set_has_none(env_id: str) -> None:
    """Its facts are not those of the bundled data: what people wrote is then the best known."""
    core: Any = gym.make(env_id, num_prompts=2).unwrapped
    assert core.best_known_response(Prompt(prompt_id=0, text="of a data set")) == ""
