r"""Say what reward models are worth: accuracy, calibration, length, best-of-n.

MODEL is the folder of a reward model or of an ensemble, or a hub name. It is judged on comparisons:
of a file (--data), of a store or an export of feedback (--records), or of a simulated teacher about
an environment's samples (--env), whose gold is then known too. Each figure comes with its 95 %
interval; beside the accuracies stand "pick the longer" and, where several people (or a simulated
teacher) judged, how far they agree: what no model can pass by much.

The output folder gets evaluation.json and evaluation.png (accuracy by margin, a reliability diagram
before and after one temperature, subsets, and with --env best-of-n curves).

Examples:
  textgym reward evaluate runs/reward/model --data held-out.jsonl --keep-ties
  textgym reward evaluate runs/a/model runs/b/model --records runs/feedback.db
  textgym reward evaluate envs_registry/assets/summarize-v0/reward_model \
      --env RLHF-Summarize-v0 --teacher "beta=4,eps_mistake=0.02"
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.agents.evaluation.reward_figure import draw_reports
from textgym.agents.evaluation.reward_report import (
    RewardReport,
    SampleReport,
    pair_report,
    sample_report,
)
from textgym.agents.evaluation.reward_sources import (
    JudgedPairs,
    ScoredText,
    pairs_of_records,
    pairs_of_samples,
    responses_of,
)
from textgym.agents.evaluation.sampled_feedback import judge_of, sampled_episodes
from textgym.agents.reward_learning.text_items import TextReading
from textgym.agents.storage.checkpoint import save_json
from textgym.agents.supervised.preference_data import load_preferences
from textgym.cli.environment import add_env_arguments, env_kwargs, load_quietly
from textgym.cli.feedback_records import records_of
from textgym.cli.flags import add_config_flags, config_from, with_newlines
from textgym.feedback.teachers import TeacherConfig, build_teacher, calibrated
from textgym.task import TextTask
from textgym.types import Episode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym reward evaluate`."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help="what to judge, see above")
    parser.add_argument("--data", metavar="FILE", help="comparisons, read as by `textgym reward`")
    parser.add_argument("--columns", help='of --data: "prompt=q,chosen=a,rejected=b,subset=kind"')
    parser.add_argument(
        "--template", help=r'of --data: text around the prompt: "{prompt}\n\nTL;DR:"'
    )
    parser.add_argument("--keep-ties", action="store_true", help="of --data: report ties too")
    parser.add_argument(
        "--records", metavar="STORE", help="a store, or a file that `textgym feedback export` wrote"
    )
    add_env_arguments(parser, positional=False, required=False)
    parser.add_argument(
        "--n-prompts", type=int, default=256, help="of --env: held-out prompts [default: 256]"
    )
    parser.add_argument(
        "--samples", type=int, default=16, help="of --env: samples of each prompt [default: 16]"
    )
    parser.add_argument(
        "--teacher",
        default="",
        metavar="KNOBS",
        help='of --env: who judges, "knob=value,knob=value" [default: the gold order itself]',
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn [default: 0]")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps [default: auto]")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs/reward-evaluation"),
        help="folder of the report [default: runs/reward-evaluation]",
    )
    add_config_flags(parser, TextReading)


def run(args: argparse.Namespace) -> int:
    """Judge every model, print the table, and write JSON and figure."""
    load_quietly()
    ways = [name for name in ("data", "records", "env") if getattr(args, name) is not None]
    if len(ways) != 1:
        raise ValueError(f"expected one of --data, --records and --env, got {ways}")
    material = _material(args)
    reports = []
    for model in args.models:
        scored = ScoredText(model, _reading(args, material, model), args.device)
        reports.append(_report(model, scored, material, args.seed))
    sys.stdout.write(f"{report_table(reports)}\n")
    args.output.mkdir(parents=True, exist_ok=True)
    save_json(args.output / "evaluation.json", [report.as_dict() for report in reports])
    draw_reports(reports, args.output / "evaluation.png")
    sys.stdout.write(
        f"report: {args.output / 'evaluation.json'}, {args.output / 'evaluation.png'}\n"
    )
    return 0


@dataclass(frozen=True, kw_only=True)
class _Material:
    """What the models are judged on; samples and their task with --env only."""

    judged: JudgedPairs
    samples: tuple[tuple[Episode, ...], ...] = ()
    task: TextTask | None = None


def _material(args: argparse.Namespace) -> _Material:
    if args.data is not None:
        found = load_preferences(
            args.data,
            columns=args.columns,
            template=with_newlines(args.template),
            keep_ties=args.keep_ties,
        )
        return _Material(judged=JudgedPairs(pairs=found.pairs))
    if args.records is not None:
        return _Material(judged=pairs_of_records(records_of(args.records)))
    return _sampled(args)


def _sampled(args: argparse.Namespace) -> _Material:
    kwargs: dict[str, Any] = {"split": "validation", "reward": "gold", "device": args.device}
    kwargs |= env_kwargs(args.env, args.env_kwarg)
    with gym.make(args.env, **kwargs) as env:
        task: TextTask = env.unwrapped.task  # type: ignore[attr-defined]
    if args.samples < 2:
        raise ValueError(f"--samples must be at least 2, got {args.samples!r}")
    prompt_ids = range(min(args.n_prompts, len(task.prompts)))
    samples = sampled_episodes(task, prompt_ids, args.samples, seed=args.seed, progress=True)
    golds = [e.gold_score for group in samples for e in group if e.gold_score is not None]
    config = calibrated(TeacherConfig.parse(args.teacher, seed=args.seed), golds)
    teachers = (
        build_teacher(replace(config, seed=config.seed + i), judge_of(task)) for i in (0, 1)
    )
    return _Material(
        judged=pairs_of_samples(samples, *teachers),
        samples=tuple(map(tuple, samples)),
        task=task,
    )


def _reading(args: argparse.Namespace, material: _Material, model: str) -> TextReading:
    """How texts are cut: as the environment does, where there is one."""
    if material.task is None:
        return config_from(args, TextReading)
    own = ScoredText.tokenizer_of(model).fingerprint
    return TextReading(
        max_prompt_tokens=material.task.config.max_prompt_tokens,
        max_response_tokens=material.task.config.max_new_tokens,
        use_token_ids=own == material.task.tokenizer.fingerprint,
    )


def _report(model: str, scored: ScoredText, material: _Material, seed: int) -> RewardReport:
    pairs = material.judged.pairs
    samples: SampleReport | None = None
    if material.samples:
        shape = (len(material.samples), len(material.samples[0]))
        flat = [episode for group in material.samples for episode in group]
        samples = sample_report(
            scored.scores(responses_of(material.samples)).reshape(shape),
            np.array([e.gold_score for e in flat], dtype=np.float64).reshape(shape),
            np.array([len(e.response_ids) for e in flat], dtype=np.float64).reshape(shape),
            seed=seed,
        )
    return RewardReport(
        model=model,
        pairs=pair_report(pairs, scored.differences(pairs), seed=seed),
        samples=samples,
        ceiling=material.judged.ceiling,
    )


def report_table(reports: list[RewardReport]) -> str:
    """One line per measure and one column per model, intervals of 95 % in brackets."""
    columns = [dict(_lines(report)) for report in reports]
    names = list(dict.fromkeys(name for column in columns for name in column))
    width = max(map(len, names)) + 2
    rows = [("", [report.model[-22:] for report in reports])] if len(reports) > 1 else []
    rows += [(name, [column.get(name, "") for column in columns]) for name in names]
    return "\n".join(
        f"{name:{width}}{'  '.join(f'{v:22}' for v in values)}".rstrip() for name, values in rows
    )


def _lines(report: RewardReport) -> Iterator[tuple[str, str]]:
    yield from _accuracy_lines(report)
    yield from _calibration_lines(report)
    if report.samples is not None:
        found = report.samples
        yield "correlation with gold", str(found.correlation)
        yield "rank correlation with gold", str(found.rank_correlation)
        yield "within prompts", str(found.within_prompts)
        yield "correlation with length", str(found.length_correlation)
        yield "gold's with length", str(found.gold_length_correlation)
        curve = found.best_of_n
        for n, gold, best in zip(curve.n, curve.gold, curve.best_gold, strict=True):
            yield f"gold of the best of {n}", f"{gold} (chosen by gold {best.mean:.3f})"


def _accuracy_lines(report: RewardReport) -> Iterator[tuple[str, str]]:
    found, ties = report.pairs.measures, report.pairs.ties
    yield "accuracy", f"{found.accuracy} of {found.accuracy.count}"
    yield '"pick the longer"', str(found.longer_accuracy)
    if found.gold_accuracy is not None:
        yield "accuracy by gold", str(found.gold_accuracy)
    for b in found.by_margin:
        yield f"margin {b.low:.2g}..{b.high:.2g}", str(b.accuracy)
    for name, accuracy in report.pairs.subsets.items():
        mark = " (worst)" if name == report.pairs.worst_subset else ""
        yield f"subset {name!r}{mark}", f"{accuracy} of {accuracy.count}"
    yield "length correlation of differences", str(report.pairs.length_correlation)
    yield "judged equal", str(ties.judged)
    yield "decided, but scored equal", str(ties.scored)
    if ties.gap_judged_equal is not None:
        yield "score gap where judged equal", str(ties.gap_judged_equal)
        yield "score gap where decided", str(ties.gap_decided)
    yield from _ceiling_lines(report)


def _ceiling_lines(report: RewardReport) -> Iterator[tuple[str, str]]:
    ceiling = report.ceiling
    if ceiling is None:
        return
    if ceiling.with_gold is not None:
        yield "ceiling: teacher with gold", str(ceiling.with_gold)
    if ceiling.with_itself is not None:
        yield "ceiling: teacher with itself", str(ceiling.with_itself)
    if ceiling.among is not None:
        yield "ceiling: two annotators agree", str(ceiling.among.agreement)
        yield "ceiling: where both decide", str(ceiling.among.decided)
        yield "ceiling: one with the majority", str(ceiling.among.majority)
        yield "Krippendorff's alpha", f"{ceiling.among.alpha:.3f}"


def _calibration_lines(report: RewardReport) -> Iterator[tuple[str, str]]:
    found, scaled = report.pairs.measures, report.pairs.temperature
    yield "log loss", f"{found.log_loss} (0.693 knows nothing)"
    if report.pairs.ties.judged:
        yield "log loss, ties as a half", str(report.pairs.ties.log_loss)
    yield "Brier score", str(found.brier)
    yield "calibration error", f"{found.calibration_error:.3f}"
    yield "temperature that fits", f"{scaled.temperature:.2f}"
    yield "log loss at it", str(scaled.log_loss)
    yield "Brier score at it", str(scaled.brier)
    yield "calibration error at it", f"{scaled.calibration_error:.3f}"
