"""docs/environment.md says what the environments take and return: compared with the real things."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.config import TextEnvConfig
from textgym.envs_registry.specs import ENVIRONMENTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "environment.md").read_text("utf-8")
HEADINGS = (
    "Description",
    "Observation",
    "Action",
    "Reward",
    "Episode end",
    "Info",
    "Arguments",
    "Data",
    "Version history",
)
ID = "Probe-ExactKL-v0"
# These depend on the task or on an argument; `test_optional_keys` looks at them.
OPTIONAL = {"action_mask", "gold_score", "response_is_action", "token_reward", "waiting"}


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[1:]]


def documented(when: str, timing: str) -> set[str]:
    column = {"step": 2, "deferred": 3}[timing]
    rows = [row for row in table("Infos") if when in row[1].split(", ") and row[column] == "yes"]
    return {row[0].strip("`") for row in rows} - OPTIONAL


def test_arguments_and_their_defaults() -> None:
    rows = {row[0].strip("`"): row[1].strip("`") for row in table("Arguments")}
    vector_only = {"num_envs": "1", "autoreset_mode": "'SameStep'"}
    assert rows == {f.name: repr(f.default) for f in fields(TextEnvConfig)} | vector_only


@pytest.mark.parametrize("timing", ["step", "deferred"])
def test_documented_keys_are_the_returned_ones(timing: str) -> None:
    envs = gym.make_vec(ID, num_envs=2, reward_timing=timing)
    _, info = envs.reset(seed=0)
    assert keys(info) == documented("reset", timing)
    info = envs.step([1, 1])[4]
    assert keys(info) == documented("step", timing)
    info = envs.step([5, 5])[4]
    assert keys(info["final_info"]) == documented("step", timing) | documented("end", timing)
    assert keys(info) == documented("reset", timing) | {"final_obs", "final_info"}


def test_optional_keys() -> None:
    envs = gym.make_vec(ID, num_envs=2, group_size=2, info_action_mask=True)
    assert "action_mask" in envs.reset(seed=0)[1]
    assert {"action_mask", "waiting"} <= keys(envs.step([1, 1])[4])
    assert {row[0].strip("`") for row in table("Infos")} >= OPTIONAL


def test_documented_keys_where_there_are_models_and_gold(
    tiny_model_folder: Path, tiny_reward_folder: Path
) -> None:
    env = gym.make(
        "RLHF-Summarize-v0",
        reference_model=str(tiny_model_folder),
        reward_model=str(tiny_reward_folder),
        max_new_tokens=2,
        info_action_mask=True,
        device="cpu",
    )
    masks = {"action_mask"}
    assert set(env.reset(seed=0)[1]) == documented("reset", "step") | masks
    assert set(env.step(40)[4]) == documented("step", "step") | masks
    expected = documented("step", "step") | documented("end", "step") | masks | {"gold_score"}
    expected -= {"regret"}  # where the optimum is known: in the probes
    assert set(env.step(40)[4]) == expected


def keys(info: dict[str, Any]) -> set[str]:
    return {key for key in info if not key.startswith("_") and np.any(info[f"_{key}"])}


@pytest.mark.parametrize("row", ENVIRONMENTS, ids=lambda row: row.id)
def test_headed_docstring(row: Any) -> None:
    module = importlib.import_module(row.entry_point.split(":")[0])
    text = inspect.getdoc(module) or ""
    assert text.startswith(row.id)
    positions = [text.find(f"\n{heading}:\n") for heading in HEADINGS]
    assert all(position > 0 for position in positions) and positions == sorted(positions)
