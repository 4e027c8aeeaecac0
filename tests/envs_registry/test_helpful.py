"""RLHF-Helpful-v0: what it needs, which prompts it reads, and the contract on a tiny data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import textgym
from textgym.envs_registry.helpful import NEEDED
from textgym.envs_registry.specs import ENVIRONMENTS

ENV_ID = "RLHF-Helpful-v0"
ROWS = [
    {
        "chosen": f"\n\nHuman: the dog {i}\n\nAssistant: nice\n\nHuman: why\n\nAssistant: go home",
        "rejected": f"\n\nHuman: the dog {i}\n\nAssistant: nice\n\nHuman: why\n\nAssistant: rude",
    }
    for i in range(30)
]


@pytest.fixture
def needed(tmp_path: Path, tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, Any]:
    dataset = tmp_path / "dialogues.jsonl"
    dataset.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return {
        "dataset": str(dataset),
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "device": "cpu",
    }


def test_the_table_says_what_it_needs() -> None:
    (row,) = (row for row in ENVIRONMENTS if row.id == ENV_ID)
    assert row.needs == NEEDED
    assert all(name in row.summary for name in NEEDED)


def test_made_without_arguments_it_lists_them() -> None:
    with pytest.raises(ValueError, match=f"expected {', '.join(NEEDED)} .*got no"):
        gym.make(ENV_ID)


@pytest.mark.parametrize("name", NEEDED)
def test_the_missing_one_is_named(needed: dict[str, Any], name: str) -> None:
    del needed[name]
    with pytest.raises(ValueError, match=f"got no {name}$"):
        gym.make_vec(ENV_ID, num_envs=2, **needed)


def test_a_formula_needs_no_reward_model(needed: dict[str, Any]) -> None:
    del needed["reward_model"]
    env: Any = gym.make(ENV_ID, reward="rouge", **needed).unwrapped
    assert env.task.config.reward_model is None


def test_prompts_end_where_the_assistant_speaks(needed: dict[str, Any]) -> None:
    env = gym.make(ENV_ID, **needed)
    _, info = env.reset(seed=0)
    assert info["prompt"].startswith("\n\nHuman: the dog ")
    assert info["prompt"].endswith("\n\nHuman: why\n\nAssistant:")
    task = env.get_wrapper_attr("task")
    assert task.prompts[0].references == ("go home",) and task.gold is None
    assert len(task.prompts) == 24  # a tenth each is held out for validation and test


@pytest.mark.filterwarnings("error")
def test_contract(needed: dict[str, Any]) -> None:
    sizes = {"max_prompt_tokens": 64, "max_new_tokens": 6}
    textgym.check_text_env(ENV_ID, num_steps=20, **sizes, **needed)
