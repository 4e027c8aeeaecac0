"""RLHF-Summarize-v0: what is particular to it, with tiny random models."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3

import textgym  # noqa: F401
from textgym.envs_registry import summarize
from textgym.envs_registry.summarize_recipe import RECIPE
from textgym.task_models import Bundle

ID = "RLHF-Summarize-v0"


@pytest.fixture
def models(tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, Any]:
    return {
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "device": "cpu",
    }


def play(env: gym.Env, actions: int = 6) -> dict[str, Any]:
    env.reset(seed=0)
    ended, info = False, {}
    for action in range(60, 60 + actions):
        if not ended:
            _, _, ended, _, info = env.step(action)
    assert ended
    return info


def test_score_and_gold_side_by_side(models: dict[str, Any]) -> None:
    env = gym.make(ID, max_new_tokens=4, **models)
    _, info = env.reset(seed=0)
    assert info["prompt"].startswith("SUBREDDIT: r/") and info["prompt"].endswith("TL;DR:")
    info = play(env)
    assert isinstance(info["gold_score"], float) and info["score"] != info["gold_score"]
    core: Any = env.unwrapped
    assert core.max_prompt_tokens == RECIPE["max_prompt_tokens"]
    assert core.config.reference_model == models["reference_model"] == core.config.tokenizer


def test_gold_as_the_reward(models: dict[str, Any]) -> None:
    info = play(gym.make(ID, max_new_tokens=4, reward="gold", kl_coef=0.0, **models))
    assert info["score"] == info["gold_score"]


def test_a_prompt_of_ones_own_has_no_gold(models: dict[str, Any]) -> None:
    env = gym.make(ID, max_new_tokens=1, **models)
    env.reset(options={"prompt": "My boss is angry.\n\nTL;DR:"})
    info = env.step(40)[4]
    assert "gold_score" not in info and info["prompt_id"] == -1


def test_splits_differ_and_sizes_are_kept(models: dict[str, Any]) -> None:
    texts = set()
    for split in ("train", "validation", "test"):
        core: Any = gym.make(ID, split=split, num_prompts=5, **models).unwrapped
        assert len(core.task.prompts) == 5
        texts |= {prompt.text for prompt in (core.task.prompts[i] for i in range(5))}
    assert len(texts) == 15


def test_other_posts_have_no_gold(models: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "papers.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as out:
        for i in range(3):
            row = {"source": [f"We study {i}.", "It works."], "target": [f"a study of {i}", "x"]}
            out.write(json.dumps(row) + "\n")
    env = gym.make(
        ID,
        dataset=str(file),
        dataset_columns="prompt=source,reference=target",
        prompt_template="{prompt}\n\nTL;DR:",
        reward="0.5*model+0.5*rouge",
        max_new_tokens=2,
        **models,
    )
    info = play(env)
    assert "gold_score" not in info
    assert set(info["reward_terms"]) == {"model", "rouge", "kl"}
    with pytest.raises(ValueError, match="gold"):
        gym.make(ID, dataset=str(file), dataset_columns="prompt=source", reward="gold", **models)


def test_missing_bundle_names_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models: dict[str, Any]
) -> None:
    monkeypatch.setattr(summarize, "BUNDLE", Bundle(env_id=ID, folder=tmp_path))
    with pytest.raises(ValueError, match="no bundled reference_model.*textgym build RLHF-Summ"):
        gym.make(ID)
    with pytest.raises(ValueError, match="no bundled reward_model"):
        gym.make(ID, reference_model=models["reference_model"])
    gym.make(ID, reference_model=models["reference_model"], reward="gold")


@pytest.mark.skipif(not summarize.BUNDLE.folder.is_dir(), reason="the models are not built here")
def test_bundled_models_play_an_episode() -> None:
    envs: Any = gym.make_vec(ID, num_envs=4, reward_timing="deferred")
    envs.reset(seed=0)
    for _ in range(envs.max_new_tokens):
        envs.step(envs.action_space.sample())
    assert envs.settle_rewards().shape == (envs.max_new_tokens, 4)
    assert len(envs.settled_episodes) >= 4


@pytest.mark.parametrize("algorithm", [stable_baselines3.PPO, stable_baselines3.A2C])
def test_stock_algorithms_learn_on_the_bundled_environment(algorithm: Any) -> None:
    batch = {"batch_size": 48} if algorithm is stable_baselines3.PPO else {}
    env = gym.make(ID, device="cpu")
    agent = algorithm("MlpPolicy", env, n_steps=96, seed=0, device="cpu", **batch)
    before = [p.detach().clone() for p in agent.policy.parameters()]
    agent.learn(96)
    returns = [episode["r"] for episode in agent.ep_info_buffer]
    assert returns and np.isfinite(returns).all()
    after = agent.policy.parameters()
    assert any(not old.equal(new) for old, new in zip(before, after, strict=True))
