"""Whole runs on a text environment: several seeds, beside PPO on the gold utility itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.feedback_loop.seed_runs import (
    LoopFamily,
    LoopRunConfig,
    Report,
    SeedResult,
    broker_for,
    run_seeds,
)
from textgym.agents.feedback_loop.step_report import StepReport
from textgym.agents.feedback_loop.text import TextLearner, new_agent
from textgym.agents.feedback_loop.text_sampling import TextSampler
from textgym.agents.feedback_loop.text_settings import TextLoopSettings
from textgym.agents.reward_learning.text_training import TextRewardConfig
from textgym.feedback.store import FeedbackStore
from textgym.intervals import Estimate

OF_THE_ENVIRONMENT = "the environment's reference model"
TOTAL_STEPS = 120_000
"""Tokens of a run that does not say how many."""
PLAN = {"budget": 1000.0, "rounds": 4, "initial_share_of_steps": 0.0, "eval_episodes": 256}
"""Where a plan for text differs: nothing is trained before the first reward."""
REWARD = {"members": 3, "epochs": 4.0, "batch_tokens": 4096}
"""Where learning a reward from few labels differs from learning one from many."""


@dataclass(frozen=True, kw_only=True)
class TextRunConfig(LoopRunConfig):
    """All that a run on a text environment follows from.

    Attributes:
        plan: Rounds, tokens, money; the untrained policy has no tokens of its own.
        text: The questions, and PPO.
        reward: How the reward is learned; what it says of models, lengths, seed and device is the
            environment's and the run's.
        env_kwargs: Arguments of the environment.
    """

    plan: LoopPlan = field(default_factory=lambda: LoopPlan(**PLAN))  # type: ignore[arg-type]
    text: TextLoopSettings = field(default_factory=TextLoopSettings)
    reward: TextRewardConfig = field(
        default_factory=lambda: TextRewardConfig(model=OF_THE_ENVIRONMENT, **REWARD)  # type: ignore[arg-type]
    )
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reject a budget that cannot buy one label, and what cannot be chosen by."""
        super().__post_init__()
        self.check_budget(self.text.prices_of(self.prices, 1))
        if self.text.selection == "disagreement" and self.reward.members < 2:
            raise ValueError(
                f"selection 'disagreement' needs at least 2 members, got {self.reward.members}"
            )
        if "reward" in self.env_kwargs or "reward_model" in self.env_kwargs:
            raise ValueError(
                "the reward is what is learned: expected no reward and no reward_model among the "
                f"environment's arguments, got {sorted(self.env_kwargs)}"
            )

    @property
    def total_steps(self) -> int:
        """Tokens of a seed."""
        return self.plan.total_steps or TOTAL_STEPS

    @property
    def all_steps(self) -> int:
        """Tokens over all seeds, those on the gold included."""
        return self.n_seeds * self.total_steps * (2 if self.has_baseline else 1)


def run_text(config: TextRunConfig, folder: Path, report: Report) -> list[SeedResult]:
    """Run every seed; see `seed_runs.run_seeds`. Each seed's folder also gets `reward-N/`.

    Raises:
        ValueError: The environment has no gold utility, or no language model as its reference.
    """
    check_environment(config)
    return run_seeds(config, _family(config), folder, report)


def check_environment(config: TextRunConfig) -> None:
    """Refuse an environment before anything is written.

    Raises:
        ValueError: It has no gold utility, or no language model as its reference.
    """
    TextSampler(config.env_id, config.env_kwargs)


def _family(config: TextRunConfig) -> LoopFamily:
    def learner(seed: int, store: FeedbackStore, folder: Path) -> TextLearner:
        return TextLearner(
            config.env_id,
            config.text,
            total_steps=config.total_steps,
            reward=config.reward,
            prices=config.prices,
            make_broker=lambda gold, judge: broker_for(config, seed, store, gold, judge),
            folder=folder,
            env_kwargs=config.env_kwargs,
            seed=seed,
        )

    return LoopFamily(
        total_steps=config.total_steps,
        settings={
            "text": asdict(config.text),
            "env_kwargs": dict(config.env_kwargs),
            "total_steps": config.total_steps,
        },
        learner=learner,
        baseline=lambda seed, report: _on_gold(config, seed, report),
    )


def _on_gold(config: TextRunConfig, seed: int, report: Callable[[int], None]) -> Estimate:
    """Train on gold, in the unit that a learned reward has: the reference's deviation is 1."""
    sampler = TextSampler(config.env_id, config.env_kwargs)
    count = min(config.text.n_reference, len(sampler.task.prompts))
    episodes = sampler.sampled(sampler.reference(), list(range(count)), seed)
    golds = np.array([e.gold_score for e in episodes], dtype=np.float64)
    spread = float(golds.std()) or 1.0
    kwargs = {**config.env_kwargs, "reward": f"{1 / spread:.4f}*gold"}
    env = gym.make_vec(config.env_id, num_envs=config.text.n_envs, **kwargs)
    agent = new_agent(env, config.text, sampler.task, seed)
    agent.learn(config.total_steps, callback=StepReport(report))
    return sampler.mean_gold(agent.policy, config.plan.eval_episodes, seed)
