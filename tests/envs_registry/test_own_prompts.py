"""A prompt of one's own has no facts: played where the reward needs none, else refused at reset."""

from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry.specs import ENVIRONMENTS

# What the symbols of a task without a tokenizer for words can say.
OWN = {"Probe-Parity-v0": "1 1 0 =", "Probe-IncreasingNumbers-v0": "3", "Probe-ValueOnly-v0": "5"}
TEXT = [row for row in ENVIRONMENTS if row.family in ("token", "tag") and not row.needs]


def own_prompt(env_id: str) -> str:
    if env_id.startswith("Probe-"):
        return OWN.get(env_id, ">")
    return "my order is late"


def play(env: gym.Env) -> dict[str, Any]:
    rng, ended, info = np.random.default_rng(0), False, dict[str, Any]()
    core: Any = env.unwrapped
    while not ended:
        _, _, ended, _, info = env.step(int(rng.choice(np.flatnonzero(core.action_masks()))))
    return info


@pytest.mark.parametrize("row", TEXT, ids=lambda row: row.id)
def test_gold_is_refused_at_once_or_never(row: Any) -> None:
    """The gold of the probes is of the text alone; all others read the prompt's facts."""
    if row.id == "Probe-ExactKL-v0":
        return
    env = gym.make(row.id, reward="gold", device="cpu")
    options = {"prompt": own_prompt(row.id)}
    if row.suite == "PROBES" and row.id != "PromptBandit-v0":
        env.reset(seed=0, options=options)
        assert play(env)["score"] >= 0.0
        return
    env.reset(seed=0)
    with pytest.raises(ValueError, match="reward='gold' reads facts .* prompt_id=.*got prompt="):
        env.reset(options=options)
    env.reset(options={"prompt_id": 0})  # goes on
    assert "gold_score" in play(env)


@pytest.mark.parametrize("env_id", ["RLHF-Summarize-v0", "RLHF-MultiObjective-v0"])
def test_sums_are_refused_where_a_part_is(env_id: str) -> None:
    options = {"prompt": "my order is late"}
    for reward in ("0.5*gold+length", "rouge"):
        said = re.escape(f"reward={reward!r} reads facts or references")
        with pytest.raises(ValueError, match=said):
            gym.make(env_id, reward=reward, device="cpu").reset(options=options)
    gym.make(env_id, reward="length", device="cpu").reset(options=options)
