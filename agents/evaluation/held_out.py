"""Measure a policy on held-out prompts. Shape letters: N prompts, S sequences, T tokens.

Every number comes with a 95 % interval. KL is the sum over a response of log pi - log pi_ref in
nats, averaged over responses sampled from pi. A win is a response preferred to the reference
model's own response to the same prompt; ties count half.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch

from textgym.agents.evaluation.episode_metrics import episode_metrics
from textgym.agents.evaluation.judges import Judge
from textgym.episode_list import EpisodeList
from textgym.intervals import Estimate, wilson_interval
from textgym.rollout import rollout
from textgym.types import Episode

TEACHERS_BOOKS = ("teacher_store", "teacher_budget")
_SEQUENCES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How to evaluate."""

    n_prompts: int = 512
    """Held-out prompts to answer, at least 1."""

    greedy: bool = False
    """Take the most likely token instead of sampling."""

    temperature: float = 1.0
    """Of the softmax that is sampled from, above 0."""

    split: str = "validation"
    """Which prompts: train, validation or test."""

    seed: int = 0
    """Seeds the sampling."""

    num_envs: int = 128
    """Rows that are played side by side; a matter of speed and memory only."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("n_prompts", "num_envs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature!r}")


class EvaluablePolicy(Protocol):
    """What evaluation needs of a policy: `TransformerPolicy` has it."""

    @property
    def device(self) -> torch.device:
        """Where its networks are."""
        ...

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return actions (N,) and the state for the next call."""
        ...

    def evaluate_actions(
        self, obs: dict[str, torch.Tensor], actions: torch.Tensor
    ) -> tuple[Any, torch.Tensor, Any]:
        """Return values, log-probabilities and entropies, packed 1-D over the actions."""
        ...


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured.

    Attributes:
        metrics: Metric name to its estimate; only those that the task allows.
        episodes: The N responses.
        reference_episodes: The reference model's responses to the same prompts, possibly none.
        judge: Name of the judge of the win rate, None where there was none.
    """

    metrics: dict[str, Estimate]
    episodes: EpisodeList
    reference_episodes: EpisodeList
    judge: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers for a JSON file."""
        numbers = {name: estimate.as_dict() for name, estimate in self.metrics.items()}
        return {"judge": self.judge, "n_prompts": len(self.episodes), "metrics": numbers}


def make_evaluation_env(
    env_id: str, config: EvaluationConfig, **env_kwargs: Any
) -> gym.vector.VectorEnv:
    """Make the vector environment that `evaluate` plays: held-out prompts and no KL in the reward.

    A teacher's answers of an evaluation are neither stored with those that the agent learned from
    nor paid from their budget.

    Raises:
        ValueError, TypeError: As `gym.make_vec` does for a bad id or keyword argument.
    """
    kwargs = {name: env_kwargs[name] for name in env_kwargs if name not in TEACHERS_BOOKS}
    fixed = {
        "split": config.split,
        "kl_coef": 0.0,
        "temperature": config.temperature,
        "group_size": 1,
    }
    num_envs = min(config.num_envs, config.n_prompts)
    return gym.make_vec(env_id, num_envs=num_envs, **{**kwargs, **fixed})


def held_out_prompts(env: gym.vector.VectorEnv, config: EvaluationConfig) -> list[int]:
    """Return the ids of the first `n_prompts` prompts of the split, or all where it has fewer.

    A task of a single prompt has it answered `n_prompts` times.
    """
    unwrapped: Any = env.unwrapped
    n_known = len(unwrapped.task.prompts)
    return [0] * config.n_prompts if n_known == 1 else list(range(min(config.n_prompts, n_known)))


def evaluate(
    env: gym.vector.VectorEnv,
    policy: EvaluablePolicy,
    config: EvaluationConfig,
    *,
    reference_episodes: EpisodeList | None = None,
    judge: Judge | None = None,
) -> Evaluation:
    """Answer the held-out prompts with `policy` and measure the responses.

    Args:
        env: From `make_evaluation_env`.
        policy: Samples the responses; its temperature must be `config.temperature`.
        config: How many prompts and how to sample.
        reference_episodes: The reference model's responses to the same prompts, for the win rate.
        judge: Decides the wins; None for no win rate.

    Returns:
        The estimates and the episodes.
    """
    prompt_ids = held_out_prompts(env, config)
    episodes = rollout(
        env,
        policy,
        len(prompt_ids),
        seed=config.seed,
        prompt_ids=prompt_ids,
        deterministic=config.greedy,
    )
    core: Any = env.unwrapped
    log_probs = response_log_probs(policy, episodes, core.action_tokens, core.vocab_size)
    metrics = episode_metrics(episodes, log_probs)
    theirs = reference_episodes if reference_episodes is not None else EpisodeList()
    if judge is not None and theirs:
        metrics["win_rate"] = win_rate(judge, episodes, theirs)
    return Evaluation(
        metrics=metrics,
        episodes=episodes,
        reference_episodes=theirs,
        judge=judge.name if judge is not None else None,
    )


def win_rate(judge: Judge, ours: Sequence[Episode], theirs: Sequence[Episode]) -> Estimate:
    """Share of prompts whose response `judge` prefers in `ours`, ties half, Wilson interval."""
    return wilson_interval(float(judge.preferences(ours, theirs).sum()), len(ours))


@torch.no_grad()
def response_log_probs(
    policy: EvaluablePolicy,
    episodes: Sequence[Episode],
    action_tokens: np.ndarray,
    vocab_size: int,
) -> list[np.ndarray]:
    """Return log pi of every action in nats, one float64 array per episode.

    One full forward per sequence, under the policy's own temperature and mask.

    Args:
        policy: Evaluates packed actions.
        episodes: N finished episodes.
        action_tokens: (A,) int64, action to token id.
        vocab_size: The environment's marker of empty cells.
    """
    action_of = {int(token): action for action, token in enumerate(action_tokens)}
    found: list[np.ndarray] = [np.zeros(0)] * len(episodes)
    for rows in _length_groups(episodes):
        group = [episodes[row] for row in rows]
        obs = _packed(group, vocab_size, policy.device)
        actions = [action_of[token] for episode in group for token in episode.action_ids]
        _, log_probs, _ = policy.evaluate_actions(obs, torch.tensor(actions, device=policy.device))
        ends = np.cumsum([len(episode.action_ids) for episode in group])[:-1]
        for row, part in zip(rows, np.split(log_probs.double().cpu().numpy(), ends), strict=True):
            found[row] = part
    return found


def _length_groups(episodes: Sequence[Episode]) -> Iterator[list[int]]:
    lengths = [len(e.prompt_ids) + len(e.response_ids) for e in episodes]
    order = np.argsort(lengths, kind="stable").tolist()
    for start in range(0, len(order), _SEQUENCES_AT_ONCE):
        yield order[start : start + _SEQUENCES_AT_ONCE]


def _packed(
    episodes: Sequence[Episode], empty_id: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """Sequences in the form that `evaluate_actions` reads."""
    width = max(len(e.prompt_ids) + len(e.response_ids) for e in episodes)
    ids = np.full((len(episodes), width), empty_id, dtype=np.int64)
    is_action = np.zeros(ids.shape, dtype=bool)
    for row, episode in enumerate(episodes):
        start, end = len(episode.prompt_ids), len(episode.prompt_ids) + len(episode.response_ids)
        ids[row, :end] = (*episode.prompt_ids, *episode.response_ids)
        is_action[row, start:end] = episode.response_is_action or True
    lengths = np.array([len(episode.prompt_ids) for episode in episodes], dtype=np.int64)
    parts = {"ids": ids, "is_action": is_action, "prompt_lengths": lengths}
    return {name: torch.as_tensor(part, device=device) for name, part in parts.items()}
