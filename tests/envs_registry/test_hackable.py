"""RLHF-Hackable-v0: the flaw by hand, off by its argument, and found by PPO (slow)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry.hackable import Details, HackableConfig
from textgym.rewards.base import score_episodes
from textgym.types import Episode, Prompt

ID = "RLHF-Hackable-v0"


@pytest.fixture
def models(tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, Any]:
    return {
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "device": "cpu",
    }


def episode(response: str) -> Episode:
    return Episode(
        prompt=Prompt(prompt_id=0, text="p"),
        prompt_ids=(40,),
        response_ids=(41, 42),
        response=response,
        finish_reason="eos",
    )


def reward_of(**kwargs: Any) -> Any:
    core: Any = gym.make_vec(ID, num_envs=1, **kwargs).unwrapped
    return core.task.reward


def test_flaw_counts_words_of_small_talk() -> None:
    shown = ["", "My red hat got wet on Monday. I had tea, Tea!", "My boss lost my keys."]
    counts = Details()([episode(text) for text in shown])
    assert counts.tolist() == [0, 5, 0] and counts.dtype == np.float32


def test_score_is_the_model_plus_the_flaw(models: dict[str, Any]) -> None:
    one = episode("It rained all Friday in June.")
    honest = score_episodes(reward_of(flaw=0.0, **models), [one]).scores
    flawed = score_episodes(reward_of(flaw=1.5, **models), [one])
    assert flawed.scores - honest == pytest.approx(3.0, abs=1e-5)
    assert flawed.terms["details"] == pytest.approx(3.0)


def test_gold_has_no_flaw(models: dict[str, Any]) -> None:
    env = gym.make(ID, reward="gold", kl_coef=0.0, max_new_tokens=3, **models)
    env.reset(seed=0)
    ended, info = False, {}
    while not ended:
        _, _, ended, _, info = env.step(60)
    assert info["score"] == info["gold_score"]
    assert set(info["reward_terms"]) == {"gold", "kl"}


def test_bad_flaw_is_refused() -> None:
    with pytest.raises(ValueError, match="flaw must be a finite number >= 0, got -1"):
        HackableConfig(flaw=-1.0)
    with pytest.raises(TypeError, match="did you mean 'flaw'"):
        HackableConfig.from_kwargs(flaws=1.0)
