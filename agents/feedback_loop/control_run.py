"""Whole runs on a control environment: several seeds, beside PPO on the true reward."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from textgym.agents.feedback_loop.control import (
    ControlLearner,
    train_on_true_reward,
    true_return,
)
from textgym.agents.feedback_loop.control_settings import ControlSettings, settings_for
from textgym.agents.feedback_loop.loop import FeedbackLoop, RoundRow
from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.reward_learning.vector_training import VectorRewardConfig
from textgym.agents.storage.checkpoint import load_json, save_json
from textgym.feedback.broker import BrokerConfig, FeedbackBroker
from textgym.feedback.prices import Prices
from textgym.feedback.segment_feedback import SegmentFeedbackConfig
from textgym.feedback.store import FeedbackStore
from textgym.feedback.teachers import TeacherConfig, build_teacher, calibrated
from textgym.intervals import Estimate

Report = Callable[[int, str], None]


@dataclass(frozen=True, kw_only=True)
class ControlRunConfig:
    """All that a run on a control environment follows from.

    Attributes:
        env_id: The environment.
        plan: Rounds, steps, money; its seed is the first of `n_seeds`.
        n_seeds: Runs, at least 1.
        feedback: Which feedback is asked for.
        reward: How the reward is learned.
        teacher: Who answers; `gold_mean` and `gold_std` are measured on the first segments.
        prices: What answers cost.
        has_baseline: Also train PPO on the true reward.
    """

    env_id: str
    plan: LoopPlan = field(default_factory=LoopPlan)
    n_seeds: int = 1
    feedback: SegmentFeedbackConfig = field(default_factory=SegmentFeedbackConfig)
    reward: VectorRewardConfig = field(default_factory=VectorRewardConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    prices: Prices = field(default_factory=Prices)
    has_baseline: bool = True

    def __post_init__(self) -> None:
        """Reject a budget that cannot buy one label, and no seed at all."""
        if self.n_seeds < 1:
            raise ValueError(f"n_seeds must be at least 1, got {self.n_seeds!r}")
        kind, prices = self.feedback.feedback_kind, self.prices
        responses = 2 if kind == "comparison" else 1
        least = {"comparison": prices.comparison, "score": prices.score}[kind]
        least += prices.action * responses
        if least > self.plan.budget:
            raise ValueError(
                f"budget {self.plan.budget!r} cannot buy one label: a {kind} costs at least "
                f"{least!r}"
            )

    @property
    def settings(self) -> ControlSettings:
        """PPO's settings and the steps of a run."""
        found = settings_for(self.env_id)
        return replace(found, total_steps=self.plan.total_steps or found.total_steps)

    @property
    def all_steps(self) -> int:
        """Steps over all seeds, those on the true reward included."""
        return self.n_seeds * self.settings.total_steps * (2 if self.has_baseline else 1)


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """One seed.

    Attributes:
        seed: It.
        rounds: Rows of the rounds, the last improvement included.
        final_return: True return at the end.
        true_reward_return: The same of PPO on the true reward; None where it was not trained.
        labels: Answers in all.
        spent: What they cost.
    """

    seed: int
    rounds: tuple[RoundRow, ...]
    final_return: float
    true_reward_return: float | None
    labels: int
    spent: float

    @property
    def share(self) -> float | None:
        """Return from feedback over return from the true reward; None without a positive one."""
        if self.true_reward_return is None or self.true_reward_return <= 0:
            return None
        return self.final_return / self.true_reward_return

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return {**asdict(self), "share": self.share}


def run_control(config: ControlRunConfig, folder: Path, report: Report) -> list[SeedResult]:
    """Run every seed; what an interrupted run in the folder has finished is not done again.

    Args:
        config: The run.
        folder: Gets `seed-N/` with `feedback.db` (the answers), `state/` and `true-reward.json`,
            and `result.json`.
        report: Called with steps done since the last call and what to show beside them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(config.plan.seed, config.plan.seed + config.n_seeds)
    results = [_run_seed(config, seed, folder / f"seed-{seed}", report) for seed in seeds]
    save_json(folder / "result.json", result_dict(config, results))
    return results


def result_dict(config: ControlRunConfig, results: Sequence[SeedResult]) -> dict[str, Any]:
    """Return plain values for result.json."""
    shares = [result.share for result in results if result.share is not None]
    return {
        "config": _plain(asdict(config)),
        "settings": _plain(asdict(config.settings)),
        "seeds": [_plain(result.as_dict()) for result in results],
        "least_share": min(shares) if len(shares) == len(results) else None,
    }


def result_table(results: Sequence[SeedResult]) -> str:
    """One line per round of each seed, then one per seed."""
    lines = [f"{'seed':>4} {'round':>5} {'steps':>9} {'labels':>6} {'cost':>8}  true return"]
    for result in results:
        for row in result.rounds:
            lines.append(
                f"{result.seed:>4} {row.round_index:>5} {row.steps:>9,} {row.labels:>6} "
                f"{row.spent:>8.1f}  {_estimate(row)}"
            )
    lines += [
        "",
        f"{'seed':>4} {'labels':>6} {'from feedback':>14} {'true reward':>12} {'share':>6}",
    ]
    for result in results:
        true = "" if result.true_reward_return is None else f"{result.true_reward_return:.1f}"
        share = "" if result.share is None else f"{result.share:.2f}"
        learned = f"{result.final_return:.1f}"
        lines.append(f"{result.seed:>4} {result.labels:>6} {learned:>14} {true:>12} {share:>6}")
    return "\n".join(lines)


def _run_seed(config: ControlRunConfig, seed: int, folder: Path, report: Report) -> SeedResult:
    folder.mkdir(exist_ok=True)
    with FeedbackStore(folder / "feedback.db") as store:
        learner = ControlLearner(
            config.env_id,
            config.settings,
            feedback=config.feedback,
            reward=config.reward,
            make_broker=lambda gold: _broker(config, seed, store, gold),
            seed=seed,
        )
        settings = _plain({**asdict(config), "n_seeds": None, "has_baseline": None, "plan": None})
        loop = FeedbackLoop(replace(config.plan, seed=seed), learner, folder, settings)
        rows = loop.run(lambda done, words: report(done, f"seed {seed}, {words}"))
        learner.close()
    true = _true_reward_return(config, seed, folder, report) if config.has_baseline else None
    return SeedResult(
        seed=seed,
        rounds=tuple(rows),
        final_return=rows[-1].true_return["mean"],
        true_reward_return=true,
        labels=rows[-1].labels,
        spent=rows[-1].spent,
    )


def _broker(
    config: ControlRunConfig, seed: int, store: FeedbackStore, gold: np.ndarray
) -> FeedbackBroker:
    teacher = replace(config.teacher, seed=config.teacher.seed + seed)
    if gold.size > 1 and gold.std() > 0:  # else there is no unit to measure in
        teacher = calibrated(teacher, gold)
    asking = BrokerConfig(budget=config.plan.budget, answers_per_query=teacher.answers_per_query)
    return FeedbackBroker(build_teacher(teacher), store, asking, prices=config.prices)


def _true_reward_return(config: ControlRunConfig, seed: int, folder: Path, report: Report) -> float:
    file, settings = folder / "true-reward.json", config.settings
    episodes = config.plan.eval_episodes
    asked_for = _plain({"settings": asdict(settings), "episodes": episodes})
    if file.is_file():
        saved = load_json(file)
        if saved["asked_for"] == asked_for:
            report(settings.total_steps, "")
            return float(saved["return"]["mean"])
    words = f"seed {seed}, on the true reward"
    agent = train_on_true_reward(config.env_id, settings, seed, lambda done: report(done, words))
    found = true_return(agent, config.env_id, settings.num_envs, episodes, seed)
    save_json(file, {"asked_for": asked_for, "return": found.as_dict()})
    return found.mean


def _estimate(row: RoundRow) -> str:
    return str(Estimate(**row.true_return))  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """Return the value as JSON gives it back: lists for tuples, None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
