"""Responses of a policy to a text environment's prompts, each with its gold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.agents.evaluation.held_out import (
    EvaluationConfig,
    held_out_prompts,
    make_evaluation_env,
)
from textgym.agents.evaluation.policy_sources import reference_policy
from textgym.agents.policies import TransformerPolicy
from textgym.intervals import Estimate, mean_interval
from textgym.rollout import rollout
from textgym.task import TextTask
from textgym.types import Episode


class TextSampler:
    """Samples in rows of their own, paid by gold, without touching those that an agent trains in.

    Attributes:
        task: The environment's, of training prompts.
    """

    def __init__(self, env_id: str, env_kwargs: Mapping[str, Any]) -> None:
        """Look at an environment.

        Raises:
            ValueError: It has no gold utility, or no language model as its reference.
        """
        self._env_id, self._env_kwargs = env_id, {**env_kwargs, "reward": "gold"}
        lacks = f"a simulated teacher needs a gold utility, which {env_id!r} has not"
        try:
            self.task: TextTask = _task(env_id, self._env_kwargs)
        except ValueError as error:  # some refuse to be paid by a gold that they have not
            if _task(env_id, env_kwargs).gold is None:
                raise ValueError(lacks) from error
            raise
        if self.task.gold is None:
            raise ValueError(lacks)
        if self.task.config.reference_model is None:
            raise ValueError(f"expected a language model as the reference of {env_id!r}, got none")

    def reference(self) -> TransformerPolicy:
        """Return the reference model as a policy."""
        config = self.task.config
        env = self._env(EvaluationConfig(n_prompts=1))
        policy = reference_policy(env, temperature=config.temperature, device=config.device)
        assert policy is not None, "a task without a reference model was refused before"
        return policy

    def sampled(
        self, policy: TransformerPolicy, prompt_ids: Sequence[int], seed: int, split: str = "train"
    ) -> list[Episode]:
        """Return one response to each of the prompts; what is drawn follows from the seed."""
        env = self._env(EvaluationConfig(n_prompts=len(prompt_ids), split=split))
        policy.temperature = self.task.config.temperature
        policy.seed_sampling(seed)
        return list(rollout(env, policy, len(prompt_ids), seed=seed, prompt_ids=prompt_ids))

    def mean_gold(self, policy: TransformerPolicy, episodes: int, seed: int) -> Estimate:
        """Return the mean gold of one response to each of the first held-out prompts."""
        reading = EvaluationConfig(n_prompts=episodes)
        rows = held_out_prompts(self._env(reading), reading)
        found = self.sampled(policy, rows, seed, reading.split)
        return mean_interval(np.array([e.gold_score for e in found], dtype=np.float64))

    def _env(self, reading: EvaluationConfig) -> gym.vector.VectorEnv:
        config = EvaluationConfig(
            n_prompts=reading.n_prompts,
            split=reading.split,
            temperature=self.task.config.temperature,
        )
        return make_evaluation_env(self._env_id, config, **self._env_kwargs)


def _task(env_id: str, env_kwargs: Mapping[str, Any]) -> TextTask:
    return gym.make_vec(env_id, num_envs=1, **env_kwargs).unwrapped.task  # type: ignore[attr-defined]
