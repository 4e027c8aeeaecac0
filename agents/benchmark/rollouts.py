"""A few whole episodes as plain values, to be read by people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.rollout import rollout
from textgym.testing.case import Case, random_actions
from textgym.testing.gold_order import best_policy, sampled_reference, written_references

COUNT = 5

Rollouts = list[dict[str, Any]]


def known_rollouts(env_id: str, family: str) -> dict[str, Rollouts]:
    """Play `COUNT` episodes at random, by the reference and by the best policy that is known.

    Of text these answer prompts 0, 1, … of the validation split; what is not known is left out.
    """
    if family == "token":
        return _known_of_text(env_id)
    env = shown(Case(id=env_id, family=family))
    draw, core = random_actions(env, seed=0), env.unwrapped
    found = {"random": step_rollouts(env, lambda observation: draw())}
    reference = getattr(core, "reference_action", None)
    if reference is not None:
        found["reference"] = step_rollouts(env, lambda observation: reference())
    best = best_policy(core)
    return found if best is None else {**found, "best_known": step_rollouts(env, best)}


def _known_of_text(env_id: str) -> dict[str, Rollouts]:
    envs: Any = text_envs(env_id)
    found = {"random": text_rollouts(envs, None)}
    model = sampled_reference(envs, seed=0)
    if model is not None:
        found["reference"] = text_rollouts(envs, model)
    single: Any = gym.make(env_id, split="validation", kl_coef=0.0)
    best = best_policy(single.unwrapped)
    if best is not None:
        return {**found, "best_known": text_rollouts(single, best)}
    written = written_references(envs, first_prompts(envs))
    return found if written is None else {**found, "best_known": text_rollouts(envs, written)}


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
