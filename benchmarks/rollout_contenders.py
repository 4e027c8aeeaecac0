"""Who plays in the rollout benchmark: the literal loop, and what is measured beside it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import textgym.agents
from benchmarks.conventional import (
    Generated,
    generate,
    generation_config,
    teacher_forced,
    values_and_score,
)
from benchmarks.rollout_models import ENV_ID
from textgym.models.loading import load_causal_lm, load_sequence_classifier
from textgym.models.sampling import log_probs_of, sample
from textgym.models.trunk import hidden_states, trunk_and_head
from textgym.prompt_choice import PromptEncoder


class LiteralLoop:
    """`reset`, then `policy` and `step` for ever; one policy, one vector environment."""

    def __init__(
        self, num_rows: int, device: str, env_kwargs: dict[str, Any], value: str = "shared"
    ) -> None:
        """Make the environment and an agent of it; `value` is "shared" or "separate"."""
        self.num_rows = num_rows
        self.envs: Any = gym.make_vec(ENV_ID, num_envs=num_rows, device=device, **env_kwargs)
        self.env: Any = self.envs.unwrapped
        agent: Any = textgym.agents.PPO(
            "TransformerPolicy",
            self.envs,
            device=device,
            seed=0,
            policy_kwargs={"value": value},
        )
        self.steps_per_rollout, self.policy = int(agent.n_steps), agent.policy
        self.policy.set_training_mode(False)
        self.env.set_reward_timing("deferred")
        self.state = self.policy.new_state(num_rows)
        self.obs, _ = self.envs.reset(seed=0)

    def play(self, num_steps: int) -> int:
        """Play without paying; returns the tokens made: every action is a real one."""
        self._steps(num_steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it says that they are not paid
            self.env.set_reward_timing("step")
        self.env.set_reward_timing("deferred")
        return num_steps * self.num_rows

    def rollout(self, num_steps: int) -> int:
        """Play and settle the rewards as often as PPO does by default; returns the tokens made.

        What is open at a settlement is read once more at the next: short rollouts cost more.
        """
        at_once = self.steps_per_rollout
        for first in range(0, num_steps, at_once):
            self._steps(min(at_once, num_steps - first))
            self.env.settle_rewards()
        return num_steps * self.num_rows

    def _steps(self, num_steps: int) -> None:
        for _ in range(num_steps):
            actions, _, _ = self.policy(self.obs, self.state)
            self.obs, _, _, _, _ = self.envs.step(actions.cpu().numpy())


class UncachedLoop(LiteralLoop):
    """The same loop with a full forward of every row in every step.

    It starts with half a response in every row, so that a few steps cost what the average one does.
    """

    def __init__(self, num_rows: int, device: str, env_kwargs: dict[str, Any]) -> None:
        """Make the environment and play half a response with a cache."""
        super().__init__(num_rows, device, env_kwargs)
        self.trunk, self.head = trunk_and_head(self.policy.language_model)
        super()._steps(self.env.max_new_tokens // 2)

    @torch.no_grad()
    def _steps(self, num_steps: int) -> None:
        for _ in range(num_steps):
            lengths = (self.obs != self.env.vocab_size).sum(axis=1)
            ids = np.where(self.obs == self.env.vocab_size, 0, self.obs)[:, : lengths.max()]
            device = self.policy.device
            states = hidden_states(self.trunk, torch.from_numpy(ids).to(device))
            last = torch.from_numpy(lengths - 1).to(device)
            states = states[torch.arange(len(ids), device=device), last]
            logits = self.head(states).float()[:, : self.env.vocab_size]
            actions = sample(logits, self.policy.generator)
            log_probs_of(logits, actions)
            self.policy.value_head(states)
            self.obs, _, _, _, _ = self.envs.step(actions.cpu().numpy())


class Conventional:
    """Batches of prompts through `generate()`, with or without the passes that follow."""

    def __init__(self, loop: LiteralLoop, device: str, num_batches: int) -> None:
        """Take the same prompts, weights and limits as the loop's environment."""
        env, config = loop.env, loop.env.config
        self.num_batches = num_batches
        self.model = load_causal_lm(config.reference_model, device=device, dtype="float32")
        scorer = load_sequence_classifier(config.reward_model, device=device, dtype="float32")
        self.value = (trunk_and_head(self.model)[0], loop.policy.value_head)
        self.scorer = (scorer.base_model, scorer.score)
        self.dynamic = generation_config(env.eos_ids, env.max_new_tokens)
        self.static = generation_config(
            env.eos_ids, env.max_new_tokens, cache_implementation="static"
        )
        self.batches = self._batches(env, loop.num_rows)

    def _batches(self, env: Any, size: int) -> Iterator[list[list[int]]]:
        generator = np.random.default_rng(0)
        config = env.config
        encoder = PromptEncoder(env.tokenizer, env.max_prompt_tokens, config.prompt_overflow)
        while True:
            ids = generator.integers(0, len(env.task.prompts), size)
            yield [encoder.encode(env.task.prompts[int(i)]) for i in ids]

    def sample(self) -> int:
        """Return the tokens of some batches of `generate()`."""
        return sum(self._generated().num_tokens for _ in range(self.num_batches))

    def sample_static(self) -> int:
        """Return the tokens of some batches of `generate()` with a static cache."""
        return sum(self._generated(is_static=True).num_tokens for _ in range(self.num_batches))

    def rollout(self) -> int:
        """Return the tokens of some batches: `generate()`, then four padded passes each."""
        tokens = 0
        for _ in range(self.num_batches):
            batch = self._generated()
            teacher_forced(self.model, batch)
            values_and_score(*self.value, batch)
            teacher_forced(self.model, batch)
            values_and_score(*self.scorer, batch)
            tokens += batch.num_tokens
        return tokens

    def _generated(self, is_static: bool = False) -> Generated:
        config = self.static if is_static else self.dynamic
        return generate(self.model, next(self.batches), config)
