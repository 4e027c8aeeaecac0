"""Whole runs on a control environment: several seeds, beside PPO on the true reward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from textgym.agents.feedback_loop.control import (
    ControlLearner,
    train_on_true_reward,
    true_return,
)
from textgym.agents.feedback_loop.control_settings import ControlSettings, settings_for
from textgym.agents.feedback_loop.seed_runs import (
    LoopFamily,
    LoopRunConfig,
    Report,
    SeedResult,
    broker_for,
    run_seeds,
)
from textgym.agents.reward_learning.vector_training import VectorRewardConfig
from textgym.feedback.segment_feedback import SegmentFeedbackConfig
from textgym.feedback.store import FeedbackStore
from textgym.intervals import Estimate


@dataclass(frozen=True, kw_only=True)
class ControlRunConfig(LoopRunConfig):
    """All that a run on a control environment follows from.

    Attributes:
        feedback: Which feedback is asked for.
        reward: How the reward is learned.
    """

    feedback: SegmentFeedbackConfig = field(default_factory=SegmentFeedbackConfig)
    reward: VectorRewardConfig = field(default_factory=VectorRewardConfig)

    def __post_init__(self) -> None:
        """Reject a budget that cannot buy one label, and no seed at all."""
        super().__post_init__()
        kind, prices = self.feedback.feedback_kind, self.prices
        responses = 2 if kind == "comparison" else 1
        self.check_budget({kind: getattr(prices, kind) + prices.action * responses})

    @property
    def settings(self) -> ControlSettings:
        """PPO's settings and the steps of a run."""
        found = settings_for(self.env_id)
        return replace(found, total_steps=self.plan.total_steps or found.total_steps)

    @property
    def all_steps(self) -> int:
        """Steps over all seeds, those on the true reward included."""
        return self.n_seeds * self.settings.total_steps * (2 if self.has_baseline else 1)


def run_control(config: ControlRunConfig, folder: Path, report: Report) -> list[SeedResult]:
    """Run every seed; see `seed_runs.run_seeds`."""
    return run_seeds(config, _family(config), folder, report)


def _family(config: ControlRunConfig) -> LoopFamily:
    def learner(seed: int, store: FeedbackStore, folder: Path) -> ControlLearner:
        return ControlLearner(
            config.env_id,
            config.settings,
            feedback=config.feedback,
            reward=config.reward,
            make_broker=lambda gold: broker_for(config, seed, store, gold),
            seed=seed,
        )

    def baseline(seed: int, report: Callable[[int], None]) -> Estimate:
        settings, episodes = config.settings, config.plan.eval_episodes
        agent = train_on_true_reward(config.env_id, settings, seed, report)
        return true_return(agent, config.env_id, settings.num_envs, episodes, seed)

    return LoopFamily(
        total_steps=config.settings.total_steps,
        settings=asdict(config.settings),
        learner=learner,
        baseline=baseline,
    )
