"""How many tokens one iteration has, told before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.agents.policies.model_building import model_kind

# Prompts that are encoded to learn how long they and people's responses to them are.
PROMPTS_LOOKED_AT = 32


@dataclass(frozen=True, kw_only=True)
class IterationShape:
    """Sizes of one iteration in tokens.

    Attributes:
        prompt_tokens: Mean length of a prompt.
        response_tokens: Mean length of a response.
        width: L.
        n_envs: N.
        n_steps: Steps per environment.
        batch_size: Transitions aimed at per minibatch, None for the whole rollout.
        is_cut: Whether the rollout's end cuts episodes, which are then read in two rollouts.
        group_size: Neighbouring rows that answer the same prompt.
        busy: Share of its steps in which a row does not wait for its group.
        n_prompts: Prompts that are drawn from, None for so many that none repeats.
    """

    prompt_tokens: float
    response_tokens: float
    width: int
    n_envs: int
    n_steps: int
    batch_size: int | None
    is_cut: bool
    group_size: int = 1
    busy: float = 1.0
    n_prompts: int | None = None

    @property
    def n_transitions(self) -> int:
        """Actions of a rollout."""
        return round(self.n_envs * self.n_steps * self.busy)

    @property
    def rollout_tokens(self) -> float:
        """Tokens of all segments of a rollout, contexts included."""
        episodes = self.n_steps * self.busy / self.response_tokens
        row = episodes * (self.prompt_tokens + self.response_tokens)
        if self.is_cut:
            row += self.prompt_tokens + self.response_tokens / 2
        return self.n_envs * row

    @property
    def n_minibatches(self) -> int:
        """Minibatches that the buffer deals."""
        return 1 if self.batch_size is None else max(1, round(self.n_transitions / self.batch_size))

    @property
    def minibatch_tokens(self) -> float:
        """Tokens of one minibatch, contexts included."""
        return self.rollout_tokens / self.n_minibatches

    @property
    def actions_per_token(self) -> float:
        """Share of a minibatch's tokens that are actions."""
        return self.n_transitions / self.rollout_tokens

    @property
    def segments_per_prompt(self) -> float:
        """Segments of a minibatch that answer one prompt, on average; at least `group_size`."""
        n_segments = self.minibatch_tokens / (self.prompt_tokens + self.response_tokens)
        n_draws = max(1.0, n_segments / self.group_size)
        if self.n_prompts is None:
            return float(self.group_size)
        n_different = self.n_prompts * (1 - (1 - 1 / self.n_prompts) ** n_draws)
        return self.group_size * n_draws / n_different


def iteration_shape(agent: Any) -> IterationShape:
    """Read the sizes off an agent and its environment; how long responses are is assumed.

    A model from scratch hardly ever draws an end token, so its responses are as long as they may
    be. Others are taken to write as much as the people whose responses come with the prompts, and
    half of what they may where there are none.
    """
    task = agent.env.get_attr("task")[0]
    longest = task.config.max_new_tokens
    never_ends = model_kind(agent.policy.model) == "scratch"
    lengths = np.array([longest]) if never_ends else _reference_lengths(task)
    group_size = agent.rollout_buffer.group_size
    return IterationShape(
        prompt_tokens=_mean_prompt_tokens(task),
        response_tokens=float(lengths.mean()),
        width=agent.policy.width,
        n_envs=agent.n_envs,
        n_steps=agent.n_steps,
        batch_size=agent.batch_size if "batch_size" in vars(agent) else None,
        is_cut=not (never_ends and agent.n_steps % longest == 0),
        group_size=group_size,
        busy=float(lengths.mean()) / mean_of_longest(lengths, group_size),
        n_prompts=len(task.prompts),
    )


def mean_of_longest(lengths: np.ndarray, count: int) -> float:
    """Return the mean of the longest of `count` independent draws from (M,) lengths."""
    ordered = np.sort(lengths)
    below = np.arange(len(ordered) + 1) / len(ordered)
    return float((ordered * np.diff(below**count)).sum())


def _mean_prompt_tokens(task: Any) -> float:
    count = min(PROMPTS_LOOKED_AT, len(task.prompts))
    lengths = [len(task.tokenizer.encode(task.prompts[i].text)) for i in range(count)]
    return float(np.minimum(lengths, task.config.max_prompt_tokens).mean())


def _reference_lengths(task: Any) -> np.ndarray:
    """Lengths of people's responses, their end tokens included, each in [1, max_new_tokens]."""
    longest = task.config.max_new_tokens
    prompts = [task.prompts[i] for i in range(min(PROMPTS_LOOKED_AT, len(task.prompts)))]
    lengths = [len(task.tokenizer.encode(text)) + 1 for p in prompts for text in p.references]
    if not lengths:
        return np.array([max(1.0, longest / 2)])
    return np.clip(lengths, 1, longest)
