"""The measurements: the reference model, and one agent with its teacher.

Apparent ability is what the teacher says of the trained agent's responses to the prompts that it
was trained on. Autonomous ability is what an honest person would say of its responses to prompts
that it has never seen, the teacher gone: gold, on the same scale. Both are 0.5 for the reference.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from textgym.agents.dependence.plan import Cell, DependenceConfig, DependenceFolder
from textgym.agents.dependence.teachers import (
    ReferenceFacts,
    knobs_text,
    mean_liking,
    teacher_of,
)
from textgym.agents.evaluation.held_out import (
    EvaluablePolicy,
    EvaluationConfig,
    held_out_prompts,
    make_evaluation_env,
)
from textgym.agents.evaluation.policy_sources import reference_policy
from textgym.agents.ppo import PPO
from textgym.agents.rollouts.sequence_rollouts import SequenceRollouts
from textgym.agents.storage.checkpoint import load_json
from textgym.feedback.teachers import TeacherConfig, score_of
from textgym.feedback.teachers.config import calibrated
from textgym.intervals import mean_interval
from textgym.rollout import rollout
from textgym.types import Episode

Row = dict[str, Any]


def measure_reference(config: DependenceConfig) -> Row:
    """Return `ReferenceFacts` as plain values.

    Raises:
        ValueError: The environment has no gold utility, or no language model as its reference.
    """
    episodes = _play(config, None, seed=0, split="validation", reward="gold")
    golds = [e.gold_score for e in episodes if e.gold_score is not None]
    scale = calibrated(config.base_teacher(), golds)
    return asdict(
        ReferenceFacts(
            gold_mean=scale.gold_mean,
            gold_std=scale.gold_std,
            liking=mean_liking(config.base_teacher(), config.bias_knob, episodes),
            golds=tuple(golds),
            lengths=tuple(len(e.response_ids) for e in episodes),
        )
    )


def measure(config: DependenceConfig, folder: DependenceFolder, cell: Cell) -> Row:
    """Train one agent with its teacher, and measure both abilities."""
    facts = ReferenceFacts(**load_json(folder.reference))
    teacher = teacher_of(config.base_teacher(), facts, config.bias_knob, cell.bias)
    teacher = replace(teacher, seed=cell.seed)
    agent, notes = _trained(config, cell, teacher)
    # Asked once more, at once and for nothing: what it says, not whether it is there.
    asked = {"reward": "teacher", "teacher": knobs_text(teacher)}
    known = _play(config, agent.policy, seed=cell.seed, split="train", **asked)
    unseen = _play(config, agent.policy, seed=cell.seed, split="validation", **asked)
    golds = [e.gold_score for e in unseen if e.gold_score is not None]
    honest = [score_of((gold - facts.gold_mean) / facts.gold_std) for gold in golds]
    return {
        "cell": asdict(cell),
        "labels": notes.labels,
        "tokens": notes.tokens,
        "training": notes.rows,
        "apparent": _estimate([e.score for e in known]),
        "apparent_unseen": _estimate([e.score for e in unseen]),
        "autonomous": _estimate(honest),
        "gold": _estimate([e.gold_score for e in unseen]),
        "length": _estimate([float(len(e.response_ids)) for e in unseen]),
        "samples": [e.response for e in unseen[:2]],
    }


def _trained(config: DependenceConfig, cell: Cell, teacher: TeacherConfig) -> tuple[PPO, _Notes]:
    rounds = -(-config.n_steps // config.n_envs)  # a round of asking is a step of all rows
    if cell.dropout is not None:
        teacher = replace(teacher, dropout_round=max(1, round(cell.dropout * rounds)))
    agent = PPO(
        "TransformerPolicy",
        config.env_id,
        learning_rate=config.learning_rate,
        n_envs=config.n_envs,
        n_steps=config.rollout_steps,
        env_kwargs={
            **config.env_kwargs,
            "num_prompts": config.n_train_prompts,
            "reward": f"{config.reward_weight!r}*teacher",
            "teacher": knobs_text(teacher),
            "teacher_budget": cell.budget,
            "reward_timing": "deferred",
        },
        seed=cell.seed,
        device=config.env_kwargs.get("device", "auto"),
    )
    notes = _Notes(config.reward_weight)
    agent.learn(config.n_steps, callback=notes)
    return agent, notes


class _Notes(BaseCallback):
    """One row for each rollout; ends the training once the teacher answers no more.

    Without an answer nothing is learned: the policy would stay what it is.

    Attributes:
        labels: Episodes that were answered.
        tokens: Tokens written until the teacher was silent.
        rows: Mean score, gold and length of the rollouts' answered episodes.
    """

    model: SequenceRollouts

    def __init__(self, weight: float) -> None:
        super().__init__()
        self._weight, self._is_silent = weight, False
        self.labels, self.tokens = 0, 0
        self.rows: list[Row] = []

    def _on_step(self) -> bool:
        return not self._is_silent

    def _on_rollout_end(self) -> None:
        found = self.logger.name_to_value
        share = float(found.get("rollout/answered", 1.0))
        answered = round(share * float(found.get("rollout/episodes", 0.0)))
        self._is_silent = answered == 0 and bool(found.get("rollout/episodes"))
        if not answered:
            return
        self.labels, self.tokens = self.labels + answered, self.num_timesteps
        self.rows.append(
            {
                "labels": self.labels,
                "score": float(found["rollout/score"]) / self._weight,
                "gold": float(found["rollout/gold_score"]),
                "length": float(found["rollout/response_tokens"]),
            }
        )


def _play(
    config: DependenceConfig,
    policy: EvaluablePolicy | None,
    *,
    seed: int,
    split: str,
    **env_kwargs: Any,
) -> list[Episode]:
    """Answer the first prompts of a split; `policy` None is the reference model."""
    n_prompts = min(config.n_prompts, config.n_train_prompts) if split == "train" else None
    reading = EvaluationConfig(
        n_prompts=n_prompts or config.n_prompts,
        split=split,
        seed=seed,
        temperature=config.env_kwargs.get("temperature", 1.0),
    )
    kwargs = {**config.env_kwargs, **env_kwargs}
    if split == "train":
        kwargs["num_prompts"] = config.n_train_prompts
    env = make_evaluation_env(config.env_id, reading, **kwargs)
    if env.unwrapped.task.gold is None:  # type: ignore[attr-defined]
        raise ValueError(f"dependence needs a task with a gold utility, got {config.env_id!r}")
    if policy is None:
        device = str(config.env_kwargs.get("device", "auto"))
        policy = reference_policy(env, temperature=reading.temperature, seed=seed, device=device)
    if policy is None:
        raise ValueError(
            f"dependence needs a task with a language model as its reference, got {config.env_id!r}"
        )
    prompts = held_out_prompts(env, reading)
    return list(rollout(env, policy, len(prompts), seed=seed, prompt_ids=prompts))


def _estimate(values: list[Any]) -> Row:
    known = [value for value in values if value is not None]
    return mean_interval(np.array(known, dtype=np.float64)).as_dict()
