"""A few whole episodes as plain values, to be read by people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.agents.benchmark.exact import known_tables
from textgym.rollout import rollout
from textgym.testing.case import Case, random_actions
from textgym.testing.known_policies import (
    best_policy,
    best_texts,
    human_golds,
    human_texts,
    sampled_reference,
    table_sampler,
    text_writer,
)

COUNT = 5

Rollouts = list[dict[str, Any]]


def known_rollouts(env_id: str, family: str) -> dict[str, Rollouts]:
    """Play `COUNT` episodes at random, by the reference and by the best policy that is known.

    Of text these answer prompts 0, 1, … of the validation split, as do what people wrote, which
    is not played; what is not known is left out.
    """
    if family == "token":
        return _known_of_text(env_id)
    env = shown(Case(id=env_id, family=family))
    draw, core = random_actions(env, seed=0), env.unwrapped
    found = {"random": step_rollouts(env, lambda observation: draw())}
    reference = getattr(core, "reference_action", None)
    if reference is not None:
        found["reference"] = step_rollouts(env, lambda observation: reference())
    people = human_rollouts(gym.make(env_id, split="validation")) if family == "tag" else {}
    best = best_policy(core)
    return {**found, **people, **({} if best is None else {"best_known": step_rollouts(env, best)})}


def _known_of_text(env_id: str) -> dict[str, Rollouts]:
    envs: Any = text_envs(env_id)
    found = {"random": text_rollouts(envs, None)}
    for name, table in known_tables(env_id).items():
        found[name] = text_rollouts(envs, table_sampler(envs, table, seed=0))
    model = sampled_reference(envs, seed=0)
    if model is not None:
        found["reference"] = text_rollouts(envs, model)
    single: Any = gym.make(env_id, split="validation", kl_coef=0.0)
    found |= human_rollouts(single)
    best = best_policy(single.unwrapped)
    if best is not None:
        return {**found, "best_known": text_rollouts(single, best)}
    texts = best_texts(envs.unwrapped, first_prompts(envs))
    if texts is None:
        return found
    return {**found, "best_known": text_rollouts(envs, text_writer(envs, texts))}


def human_rollouts(env: gym.Env) -> dict[str, Rollouts]:
    """Return what people wrote of the first prompts, as "human"; nothing where they did not."""
    core: Any = env.unwrapped
    prompt_ids = first_prompts(env)
    texts, golds = human_texts(core, prompt_ids), human_golds(core, prompt_ids)
    if texts is None or golds is None:
        return {}
    prompts = [core.task.prompts[index] for index in prompt_ids]
    columns = zip(prompts, texts, golds, strict=True)
    return {
        "human": [
            {"prompt": prompt.text, "response": text, "gold_score": gold}
            for prompt, text, gold in columns
        ]
    }


def text_envs(env_id: str) -> gym.vector.VectorEnv:
    """Make the rows that play them: held-out prompts, no KL in the reward."""
    return gym.make_vec(env_id, num_envs=COUNT, split="validation", kl_coef=0.0)


def first_prompts(envs: Any) -> list[int]:
    """Return the ids of the first `COUNT` prompts, over again where there are fewer."""
    return [index % len(envs.unwrapped.task.prompts) for index in range(COUNT)]


def text_rollouts(envs: Any, policy: Any) -> Rollouts:
    """Answer the first prompts with a policy, see `rollout`."""
    episodes = rollout(envs, policy, COUNT, seed=0, prompt_ids=first_prompts(envs))
    return [
        {
            "prompt": episode.prompt.text,
            "response": episode.response,
            "finish_reason": episode.finish_reason,
            "score": episode.score,
            "gold_score": episode.gold_score,
        }
        for episode in episodes
    ]


def shown(case: Case) -> gym.Env:
    """Make a single environment that shows itself as text, where it can."""
    modes = case.make().metadata["render_modes"]
    return case.make(render_mode="ansi") if "ansi" in modes else case.make()


def step_rollouts(env: gym.Env, act: Callable[[Any], Any], seed: int = 0) -> Rollouts:
    """Play episodes; of an environment that is not shown as text the last observation is kept."""
    found = []
    for index in range(COUNT):
        observation, _ = env.reset(seed=seed if index == 0 else None)
        actions, total, is_end = [], 0.0, False
        info: dict[str, Any] = {}
        while not is_end:
            action = act(observation)
            observation, reward, terminated, truncated, info = env.step(action)
            actions.append(int(action))
            total, is_end = total + float(reward), bool(terminated or truncated)
        gold = info.get("gold_score")
        found.append(
            {
                "actions": actions,
                "return": total,
                "gold_score": None if gold is None else float(gold),
                "last": str(env.render()) if env.render_mode else _numbers(observation),
            }
        )
    return found


def _numbers(observation: Any) -> str:
    return np.array2string(np.asarray(observation), precision=3, suppress_small=True)
