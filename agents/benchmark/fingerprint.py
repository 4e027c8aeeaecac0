"""What figures were measured on, as short hashes: figures of another environment are noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.agents.benchmark.plan import ROWS
from textgym.agents.storage.checkpoint import MANIFEST, load_json
from textgym.testing.case import random_actions
from textgym.testing.known_policies import best_policy, best_texts, human_golds

PROMPTS = 16
EPISODES, MOST_STEPS = 3, 40
DIGITS = 3
# Where the models lie and what runs them is no part of what they are.
ELSEWHERE = (
    *("split", "reference_model", "reward_model", "tokenizer", "device", "render_mode"),
    *("reward_workers", "scoring_batch_tokens", "reward_model_offload"),
)

Fingerprint = dict[str, str]


def fingerprint_of(env_id: str) -> Fingerprint:
    """Return what an environment is today, a hash of 16 hexadecimal digits for each part.

    "models" are the bundled reference and reward model (its files, by the bundle's manifest);
    "prompts" the first `PROMPTS` of the validation split, with facts and references; "gold" what
    people's and the best known responses to them are worth; "settings" the arguments; "play" what
    is seen and paid in a few episodes, at random and by the best known actions, without the models
    (of control only how they are paid and end: where a simulated body is differs by machine). An
    environment has the parts that there are.
    """
    row = ROWS[env_id]
    given: dict[str, Any] = {"split": "validation"} if row.family in ("token", "tag") else {}
    core: Any = gym.make(env_id, **given).unwrapped
    parts: dict[str, Any] = {
        "models": _models(core.config),
        "settings": {**row.kwargs, **_settings(core.config)},
    }
    # Paid by gold and without the KL term nothing is asked of a model.
    paid: dict[str, Any] = {}
    if hasattr(core, "task"):
        paid = {**given, "kl_coef": 0.0} | ({} if core.task.gold is None else {"reward": "gold"})
        parts |= _of_prompts(core)
    parts["play"] = _play(env_id, paid)
    return {name: _hash(value) for name, value in parts.items() if value}


def differing(stored: Mapping[str, str], today: Mapping[str, str]) -> tuple[str, ...]:
    """Return the parts in which two fingerprints differ."""
    names = dict.fromkeys((*today, *stored))
    return tuple(name for name in names if stored.get(name) != today.get(name))


def _models(config: Any) -> dict[str, Any]:
    """Return the SHA-256 sums of the files of bundled models."""
    found = {}
    for name in ("reference_model", "reward_model"):
        folder = getattr(config, name, None)
        if folder is None:
            continue
        manifest = load_json(Path(folder).parent / MANIFEST)["files"]
        prefix = f"{Path(folder).name}/"
        found[name] = {
            file: entry["sha256"] for file, entry in manifest.items() if file.startswith(prefix)
        }
    return found


def _settings(config: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in asdict(config).items()
        if name not in ELSEWHERE and value is not None
    }


def _of_prompts(core: Any) -> dict[str, Any]:
    prompt_ids = range(min(PROMPTS, len(core.task.prompts)))
    prompts = [core.task.prompts[index] for index in prompt_ids]
    best = best_texts(core, prompt_ids)
    return {
        "prompts": [[prompt.text, prompt.references, prompt.facts] for prompt in prompts],
        "gold": [human_golds(core, prompt_ids), best] if best else None,
    }


def _play(env_id: str, paid: Mapping[str, Any]) -> list[Any]:
    env: Any = gym.make(env_id, **paid)
    draw, best = random_actions(env, seed=0), best_policy(env.unwrapped)
    is_body = ROWS[env_id].family == "control"
    seen = [_episode(env, lambda observation: draw(), seed, is_body) for seed in range(EPISODES)]
    if best is not None:
        seen += [_episode(env, best, seed, is_body) for seed in range(EPISODES)]
    return seen


def _episode(env: Any, act: Any, seed: int, is_body: bool) -> list[Any]:
    observation, info = env.reset(seed=seed)
    seen: list[Any] = [None if is_body else observation]
    for _ in range(MOST_STEPS):
        observation, reward, terminated, truncated, info = env.step(act(observation))
        shown = None if is_body else observation
        seen.append([shown, float(reward), bool(terminated), bool(truncated)])
        if terminated or truncated:
            break
    return [*seen, info.get("gold_score"), info.get("score")]


def _hash(value: Any) -> str:
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """Return JSON values, the same on every machine: real numbers are rounded.

    Raises:
        TypeError: Something that has no such form.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float):
        return round(value, DIGITS) + 0.0  # no -0.0
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    raise TypeError(f"expected plain values to hash, got {value!r}")
