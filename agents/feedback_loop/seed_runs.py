"""Whole runs: several seeds of the loop, each beside the same algorithm on the true reward."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from textgym.agents.feedback_loop.loop import FeedbackLoop, LoopLearner, RoundRow
from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.storage.checkpoint import load_json, save_json
from textgym.feedback.broker import BrokerConfig, FeedbackBroker
from textgym.feedback.prices import Prices
from textgym.feedback.store import FeedbackStore
from textgym.feedback.teachers import TeacherConfig, build_teacher, calibrated
from textgym.feedback.teachers.judges import Judge
from textgym.intervals import Estimate

Report = Callable[[int, str], None]
"""Called with steps done since the last call and what to show beside them."""

_NOT_OF_A_SEED = ("n_seeds", "has_baseline", "plan")


@dataclass(frozen=True, kw_only=True)
class LoopRunConfig:
    """What every run follows from, whatever the environment.

    Attributes:
        env_id: The environment.
        plan: Rounds, steps, money; its seed is the first of `n_seeds`.
        n_seeds: Runs, at least 1.
        teacher: Who answers; `gold_mean` and `gold_std` are measured on the first responses.
        prices: What answers cost.
        has_baseline: Also train on the true reward.
    """

    env_id: str
    plan: LoopPlan = field(default_factory=LoopPlan)
    n_seeds: int = 1
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    prices: Prices = field(default_factory=Prices)
    has_baseline: bool = True

    def __post_init__(self) -> None:
        """Reject no seed at all."""
        if self.n_seeds < 1:
            raise ValueError(f"n_seeds must be at least 1, got {self.n_seeds!r}")

    def check_budget(self, least: Mapping[str, float]) -> None:
        """Reject a budget that cannot buy one label.

        Args:
            least: Kind of feedback to the least that a label of it costs.
        """
        kind = min(least, key=lambda name: least[name])
        if least[kind] > self.plan.budget:
            raise ValueError(
                f"budget {self.plan.budget!r} cannot buy one label: a {kind} costs at least "
                f"{least[kind]!r}"
            )


@dataclass(frozen=True, kw_only=True)
class LoopFamily:
    """What a family of environments brings to a run.

    Attributes:
        total_steps: Steps of a seed.
        settings: All else that the steps follow from; plain values.
        learner: Makes the learner of a seed, which keeps its answers in a store and may write
            into a folder.
        baseline: Trains on the true reward, reporting steps, and measures the true return.
    """

    total_steps: int
    settings: Mapping[str, Any]
    learner: Callable[[int, FeedbackStore, Path], LoopLearner]
    baseline: Callable[[int, Callable[[int], None]], Estimate]


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """One seed.

    Attributes:
        seed: It.
        rounds: Rows of the rounds, the last improvement included.
        final_return: True return at the end.
        true_reward_return: The same of training on the true reward; None where there was none.
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


def run_seeds(
    config: LoopRunConfig, family: LoopFamily, folder: Path, report: Report
) -> list[SeedResult]:
    """Run every seed; what an interrupted run in the folder has finished is not done again.

    Args:
        config: The run.
        family: What carries it out.
        folder: Gets `seed-N/` with `feedback.db` (the answers), `state/` and `true-reward.json`,
            and `result.json`.
        report: See `Report`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(config.plan.seed, config.plan.seed + config.n_seeds)
    results = [_run_seed(config, family, seed, seed_folder(folder, seed), report) for seed in seeds]
    save_json(folder / "result.json", result_dict(config, family.settings, results))
    return results


def seed_folder(folder: Path, seed: int) -> Path:
    """Return the folder of one seed of a run."""
    return folder / f"seed-{seed}"


def result_dict(
    config: LoopRunConfig, settings: Mapping[str, Any], results: Sequence[SeedResult]
) -> dict[str, Any]:
    """Return plain values for result.json."""
    shares = [result.share for result in results if result.share is not None]
    return {
        "config": plain(asdict(config)),
        "settings": plain(dict(settings)),
        "seeds": [plain(result.as_dict()) for result in results],
        "least_share": min(shares) if len(shares) == len(results) else None,
    }


def result_table(results: Sequence[SeedResult]) -> str:
    """One line per round of each seed, then one per seed."""
    lines = [f"{'seed':>4} {'round':>5} {'steps':>9} {'labels':>6} {'cost':>8}  true return"]
    for result in results:
        for row in result.rounds:
            lines.append(
                f"{result.seed:>4} {row.round_index:>5} {row.steps:>9,} {row.labels:>6} "
                f"{row.spent:>8.1f}  {Estimate(**row.true_return)}"  # type: ignore[arg-type]
            )
    lines += [
        "",
        f"{'seed':>4} {'labels':>6} {'from feedback':>14} {'true reward':>12} {'share':>6}",
    ]
    for result in results:
        true = "" if result.true_reward_return is None else f"{result.true_reward_return:.4g}"
        share = "" if result.share is None else f"{result.share:.2f}"
        learned = f"{result.final_return:.4g}"
        lines.append(f"{result.seed:>4} {result.labels:>6} {learned:>14} {true:>12} {share:>6}")
    return "\n".join(lines)


def broker_for(
    config: LoopRunConfig,
    seed: int,
    store: FeedbackStore,
    gold: np.ndarray,
    judge: Judge | None = None,
) -> FeedbackBroker:
    """Return the broker of a seed: its teacher measures in the deviation of `gold`, (R,).

    What has not been answered after the teacher's longest delay expires: its money is free again.
    """
    teacher = replace(config.teacher, seed=config.teacher.seed + seed)
    if gold.size > 1 and gold.std() > 0:  # else there is no unit to measure in
        teacher = calibrated(teacher, gold)
    asking = BrokerConfig(
        budget=config.plan.budget,
        answers_per_query=teacher.answers_per_query,
        answer_within=teacher.delay + teacher.delay_spread,
    )
    return FeedbackBroker(build_teacher(teacher, judge), store, asking, prices=config.prices)


def plain(value: Any) -> Any:
    """Return the value as JSON gives it back: lists for tuples, None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _run_seed(
    config: LoopRunConfig, family: LoopFamily, seed: int, folder: Path, report: Report
) -> SeedResult:
    folder.mkdir(exist_ok=True)
    with FeedbackStore(folder / "feedback.db") as store:
        learner = family.learner(seed, store, folder)
        settings = plain({k: v for k, v in asdict(config).items() if k not in _NOT_OF_A_SEED})
        loop = FeedbackLoop(replace(config.plan, seed=seed), learner, folder, settings)
        rows = loop.run(lambda done, words: report(done, f"seed {seed}, {words}"))
        learner.close()
    true = _true_return(config, family, seed, folder, report) if config.has_baseline else None
    return SeedResult(
        seed=seed,
        rounds=tuple(rows),
        final_return=rows[-1].true_return["mean"],
        true_reward_return=true,
        labels=rows[-1].labels,
        spent=rows[-1].spent,
    )


def _true_return(
    config: LoopRunConfig, family: LoopFamily, seed: int, folder: Path, report: Report
) -> float:
    file, episodes = folder / "true-reward.json", config.plan.eval_episodes
    asked_for = plain({"settings": dict(family.settings), "episodes": episodes})
    if file.is_file():
        saved = load_json(file)
        if saved["asked_for"] == asked_for:
            report(family.total_steps, "")
            return float(saved["return"]["mean"])
    words = f"seed {seed}, on the true reward"
    found = family.baseline(seed, lambda done: report(done, words))
    save_json(file, {"asked_for": asked_for, "return": found.as_dict()})
    return found.mean
