"""Reward models from scores, comparisons and words, alone and together, on RLHF-Summarize-v0.

`--labels` labels of each kind about the bundled reference's samples, by a clean and by a noisy
teacher; each model starts from the reference model and is judged on held-out prompts by the order
of the gold utility: the share of pairs that it orders as the gold does, with a 95 % interval. The
prompts of a seed are the same for all kinds, the responses are not: two are compared, a third is
scored, a fourth talked about. What is measured is kept in `--work`, so that an interrupted run goes
on.

  python -m benchmarks.feedback_kinds
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from tqdm.auto import tqdm

from benchmarks.report import parse_arguments, print_table, write_json
from textgym.agents.evaluation.sampled_feedback import (
    answers_to,
    judge_of,
    queries_about,
    sampled_episodes,
)
from textgym.agents.reward_learning.labels import RewardLabels, labels_from_records
from textgym.agents.reward_learning.losses import KINDS
from textgym.agents.reward_learning.text_training import TextRewardConfig, fit_text_reward
from textgym.cli.environment import load_quietly
from textgym.envs_registry.summarize import ENV_ID, GOLD_SCALE
from textgym.feedback.records import FeedbackRecord
from textgym.feedback.teachers import TeacherConfig, build_teacher, rubric_critic
from textgym.intervals import mean_interval, paired_difference
from textgym.rewards.learned import RewardModel
from textgym.task import TextTask
from textgym.types import Episode

TEACHERS = {"clean": "", "noisy": "beta=1,eps_mistake=0.1,score_noise=0.2"}
TOGETHER = "together"
LEARNED_FROM = (*KINDS, TOGETHER)
HELD_OUT_SEED = 1_000
SHOWN = {"comparison": (0, 1), "score": (2,), "language": (3,)}


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Pairs of samples of prompts that nothing was learned from, P of them.

    Attributes:
        first: P episodes.
        second: P episodes, to the same prompts.
        gold_gaps: (P,) gold of the first minus that of the second, never 0.
    """

    first: list[Episode]
    second: list[Episode]
    gold_gaps: np.ndarray

    def credits(self, folder: Path, task: TextTask) -> np.ndarray:
        """Return (P,): 1 where a reward model orders a pair as the gold does, 0.5 for a tie."""
        model = RewardModel(folder, task.tokenizer, task.config.device)
        gaps = model(self.first) - model(self.second)
        return 0.5 * (1 + np.sign(gaps) * np.sign(self.gold_gaps))


def run(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print the tables and return what is written to the JSON file."""
    args = parse_arguments(__doc__ or "", argv, _add_arguments, repeats=None)
    _fill(args)
    load_quietly()
    args.work.mkdir(parents=True, exist_ok=True)
    found = []
    bar = tqdm(total=args.seeds * len(TEACHERS) * len(LEARNED_FROM), desc="reward models")
    with bar:
        for seed in range(args.seed, args.seed + args.seeds):
            run_of_seed = _Seed(args, seed)
            for teacher in TEACHERS:
                for name in LEARNED_FROM:
                    found.append(run_of_seed.measured(teacher, name))
                    bar.update()
    return _report(args, found)


class _Seed:
    """Samples and labels of one seed, made when they are first needed."""

    def __init__(self, args: argparse.Namespace, seed: int) -> None:
        self.args, self.seed = args, seed
        self.labels: dict[str, RewardLabels] = {}

    def measured(self, teacher: str, name: str) -> dict[str, Any]:
        """Fit and judge one model, unless that was done before."""
        args = self.args
        sizes = f"{args.labels}-{args.held_out}-{args.epochs:g}-{args.learning_rate:g}"
        if args.comparison_weight != 1:
            sizes += f"-{args.comparison_weight:g}"
        file = args.work / f"{sizes}-{self.seed}-{teacher}-{name}.json"
        if file.is_file():
            kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return kept
        labels = self._labels(teacher)
        start = time.process_time()
        kinds = KINDS if name == TOGETHER else (name,)
        credits, reports = _measured(self.task, labels.only(kinds), self.held_out, args, self.seed)
        result = {
            "seed": self.seed,
            "teacher": teacher,
            "kinds": name,
            "accuracy": float(credits.mean()),
            "cpu_seconds": time.process_time() - start,
            "held_out_terms": reports,
            "credits": credits.tolist(),
        }
        file.write_text(json.dumps(result), encoding="utf-8")
        return result

    @cached_property
    def task(self) -> TextTask:
        return _task(self.args, "train", self.seed + 1)

    @cached_property
    def held_out(self) -> HeldOut:
        return _held_out(_task(self.args, "validation", 0), self.args.held_out)

    @cached_property
    def groups(self) -> list[list[Episode]]:
        return sampled_episodes(self.task, range(self.args.labels), 4, seed=self.seed)

    def _labels(self, teacher: str) -> RewardLabels:
        if teacher not in self.labels:
            knobs = TEACHERS[teacher]
            self.labels[teacher] = _labels(self.task, self.groups, knobs, self.seed)
        return self.labels[teacher]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--labels", type=int, help="of each kind (default: 1000, quick: 60)")
    parser.add_argument("--held-out", type=int, help="pairs judged (default: 800, quick: 100)")
    parser.add_argument("--seeds", type=int, help="runs (default: 3, quick: 1)")
    parser.add_argument("--seed", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("runs/feedback-kinds"),
        help="where what is measured is kept (default: runs/feedback-kinds)",
    )
    parser.add_argument("--epochs", type=float, default=2.0, help="passes (default: 2)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="(default: 1e-3)")
    parser.add_argument(
        "--comparison-weight", type=float, default=1.0, help="beside 1 and 1 (default: 1)"
    )
    parser.add_argument("--batch-tokens", type=int, default=2048, help="(default: 2048)")


def _fill(args: argparse.Namespace) -> None:
    for name, full, quick in (("labels", 1000, 60), ("held_out", 800, 100), ("seeds", 3, 1)):
        if getattr(args, name) is None:
            setattr(args, name, quick if args.quick else full)


def _task(args: argparse.Namespace, split: str, data_seed: int) -> TextTask:
    kwargs = {"split": split, "data_seed": data_seed, "reward": "gold", "device": args.device}
    with gym.make(ENV_ID, **kwargs) as env:
        task: TextTask = env.unwrapped.task  # type: ignore[attr-defined]
    return task


def _held_out(task: TextTask, count: int) -> HeldOut:
    groups = sampled_episodes(task, range(count), 2, seed=HELD_OUT_SEED)
    pairs = [(a, b) for a, b in groups if a.gold_score != b.gold_score]
    gaps = [float(a.gold_score or 0) - float(b.gold_score or 0) for a, b in pairs]
    return HeldOut(
        first=[a for a, _ in pairs], second=[b for _, b in pairs], gold_gaps=np.array(gaps)
    )


def _labels(
    task: TextTask, groups: Sequence[Sequence[Episode]], knobs: str, seed: int
) -> RewardLabels:
    mean, std = GOLD_SCALE
    config = TeacherConfig.parse(knobs, seed=seed, gold_mean=mean, gold_std=std)
    teacher = build_teacher(config, judge_of(task))
    records: list[FeedbackRecord] = []
    for kind, shown in SHOWN.items():
        records += answers_to(
            teacher, queries_about(kind, [[group[i] for i in shown] for group in groups], seed)
        )
    critic = rubric_critic()
    return labels_from_records(records, lambda words: critic.scores([w.words for w in words]))


def _measured(
    task: TextTask, labels: RewardLabels, held_out: HeldOut, args: argparse.Namespace, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit a model; return what it gets right of the held-out pairs, and each term's report."""
    config = TextRewardConfig(
        model=str(task.config.reference_model),
        max_prompt_tokens=task.config.max_prompt_tokens,
        max_response_tokens=task.config.max_new_tokens,
        epochs=args.epochs,
        batch_tokens=args.batch_tokens,
        comparison_weight=args.comparison_weight,
        learning_rate=args.learning_rate,
        held_out_fraction=0.05,
        device=args.device,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        result = fit_text_reward(labels, config, output=folder)
        reports = {kind: report.as_dict() for kind, report in result.held_out.items()}
        return held_out.credits(result.folder, task), reports


def _report(args: argparse.Namespace, found: list[dict[str, Any]]) -> dict[str, Any]:
    credits: dict[tuple[str, str], list[np.ndarray]] = {}
    for one in found:
        credits.setdefault((one["teacher"], one["kinds"]), []).append(np.array(one["credits"]))
    # Over the held-out pairs, each the mean of its seeds, which share the pairs.
    means = {key: np.mean(runs, axis=0) for key, runs in credits.items()}
    rows = []
    ratios: dict[str, float] = {}
    for teacher in TEACHERS:
        for name in LEARNED_FROM:
            runs = [f"{run.mean():.3f}" for run in credits[teacher, name]]
            rows.append((teacher, name, str(mean_interval(means[teacher, name])), *runs))
        best = max(KINDS, key=lambda name: means[teacher, name].mean())
        gain = paired_difference(means[teacher, TOGETHER], means[teacher, best])
        ratios[f"{teacher}: together minus best alone"] = gain.mean
        rows.append((teacher, f"{TOGETHER} - {best}", str(gain), *[""] * args.seeds))
    count = len(credits["clean", TOGETHER][0])
    print_table(
        f"{args.labels} labels of each kind, {count} held-out pairs, {args.seeds} seeds",
        (
            "teacher",
            "learned from",
            "accuracy",
            *[f"seed {args.seed + s}" for s in range(args.seeds)],
        ),
        rows,
    )
    seconds = statistics.median(one["cpu_seconds"] for one in found)
    print(f"  a model takes {seconds:.0f} s of processor time (median)")
    details = [{k: v for k, v in one.items() if k != "credits"} for one in found]
    write_json(args.json, "feedback_kinds", ratios, details)
    return {"ratios": ratios, "details": details}


if __name__ == "__main__":
    run()
