"""Samples of the reference model: drawn through the environment, judged by gold, kept in files."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.agents.evaluation.held_out import EvaluationConfig, make_evaluation_env
from textgym.agents.evaluation.policy_sources import reference_policy
from textgym.agents.overoptimization.plan import StudyConfig
from textgym.agents.policies import TransformerPolicy
from textgym.rollout import rollout
from textgym.types import Episode, Prompt

RESPONSES_PER_PROMPT = 3
_SPARE = 1.25  # prompts beyond need: responses of equal gold make no comparison


def check_environment(config: StudyConfig) -> None:
    """Refuse what nothing can be judged or compared in.

    Raises:
        ValueError: The environment has no gold utility, or no language model as its reference.
    """
    _open(config, EvaluationConfig(n_prompts=1))


def held_out_samples(config: StudyConfig) -> list[Episode]:
    """Return P·N episodes, the N samples of a held-out prompt one after the other."""
    return _samples(
        config, "validation", np.repeat(np.arange(config.n_prompts), config.n_samples), 0
    )


def comparison_pool(config: StudyConfig, seed: int) -> list[Episode]:
    """Return the responses that a seed's comparisons are between, of prompts drawn at random."""
    pairs = RESPONSES_PER_PROMPT * (RESPONSES_PER_PROMPT - 1) // 2
    count = int(np.ceil(_SPARE * max(config.data_sizes) / pairs))
    return _samples(config, "train", None, seed + 1, count)


def _samples(
    config: StudyConfig, split: str, rows: np.ndarray | None, seed: int, count: int = 0
) -> list[Episode]:
    n_episodes = count * RESPONSES_PER_PROMPT if rows is None else len(rows)
    env, policy = _open(config, EvaluationConfig(split=split, n_prompts=n_episodes, seed=seed))
    core: Any = env.unwrapped
    known = len(core.task.prompts)
    if rows is None:
        drawn = np.random.default_rng(seed).permutation(known)
        rows = np.repeat(np.resize(drawn, count), RESPONSES_PER_PROMPT)
    prompt_ids = [int(row) % known for row in rows]
    return list(rollout(env, policy, n_episodes, seed=seed, prompt_ids=prompt_ids))


def _open(
    config: StudyConfig, sampling: EvaluationConfig
) -> tuple[gym.vector.VectorEnv, TransformerPolicy]:
    """Return the environment, its score gold itself, and the reference model as a policy."""
    # Before it is asked to pay by gold, which an environment without may refuse in other words.
    plain: Any = gym.make_vec(config.env_id, num_envs=1, **config.env_kwargs).unwrapped
    if plain.task.gold is None:
        raise ValueError(f"{config.env_id} has no gold utility, without which nothing is judged")
    env = make_evaluation_env(config.env_id, sampling, **{**config.env_kwargs, "reward": "gold"})
    core: Any = env.unwrapped
    policy = reference_policy(env, seed=sampling.seed, device=core.config.device)
    if policy is None:
        raise ValueError(f"{config.env_id} has no language model as its reference")
    return env, policy


def save_episodes(file: Path, episodes: Sequence[Episode]) -> None:
    """Write episodes as gzip'd JSON lines, all or nothing."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with gzip.open(fresh, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(asdict(e), ensure_ascii=False) + "\n" for e in episodes)
    os.replace(fresh, file)


def load_episodes(file: Path) -> list[Episode]:
    """Read what `save_episodes` wrote; facts and messages come back as JSON has them."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return [_episode(json.loads(line)) for line in stream]


def _episode(row: dict[str, Any]) -> Episode:
    prompt = row.pop("prompt")
    for name in ("references", "messages"):
        prompt[name] = tuple(prompt[name])
    for name in ("prompt_ids", "response_ids", "rewards", "ref_log_probs"):
        row[name] = tuple(row[name])
    return Episode(prompt=Prompt(**prompt), **row)
