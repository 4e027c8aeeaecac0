"""Judge a run or a language model on held-out prompts.

Score, gold score, KL, length, EOS rate, ROUGE and perplexity under the reference, each with a
95 % interval, and the share of prompts on which its response beats the reference model's own
(ties count half). Wins are judged by the task's hidden utility where it has one, else by --judge.

RUN_OR_MODEL is a run's folder (its final agent, else its newest checkpoint), a folder that an
agent was saved into, or a folder or hub name of any causal language model.

Examples:
  textgym evaluate runs/RLHF-Summarize-v0-ppo-0-20260131-120000
  textgym evaluate gpt2 --env RLHF-Summarize-v0 --env-kwarg reference_model=gpt2 --greedy
  textgym evaluate my-model --env my_module:MyTask-v0 --judge metric:rouge
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from textgym.agents.evaluation.before_after import (
    BeforeAfter,
    compare_with_reference,
    comparison_table,
    pairs_text,
    sample_pairs,
)
from textgym.agents.evaluation.held_out import EvaluationConfig, make_evaluation_env
from textgym.agents.evaluation.judges import judge_named
from textgym.agents.evaluation.policy_sources import policy_from
from textgym.agents.runs.run_folder import RunFolder, is_run_folder
from textgym.agents.storage.checkpoint import save_json
from textgym.cli.environment import add_env_arguments, env_kwargs, load_quietly
from textgym.cli.flags import add_config_flags, config_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym evaluate`."""
    parser.add_argument("source", metavar="RUN_OR_MODEL", help="what to judge, see above")
    add_env_arguments(parser, positional=False, required=False)
    parser.add_argument(
        "--judge",
        help="gold, reward-model:PATH or metric:NAME (rouge, bleu, chrf, length) [default: gold "
        "where the task has one]",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps [default: auto]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--samples", type=int, default=2, help="sample pairs to print [default: 2]")
    add_config_flags(parser, EvaluationConfig, title="Sampling")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, and write the numbers where asked."""
    load_quietly()
    env_id, kwargs = _environment(args)
    config = config_from(args, EvaluationConfig)
    env = make_evaluation_env(env_id, config, **{"device": args.device, **kwargs})
    core: Any = env.unwrapped
    judge = judge_named(args.judge, core.task)
    policy = policy_from(
        args.source, env, temperature=config.temperature, seed=config.seed, device=args.device
    )
    result = compare_with_reference(env, policy, config, judge, device=args.device)
    pairs = sample_pairs(result, args.samples)
    sys.stdout.write(f"{args.source} on {env_id} ({config.split})\n{comparison_table(result)}\n")
    if judge is None:
        sys.stdout.write("no win rate: this task has no gold, name a --judge\n")
    if pairs:
        sys.stdout.write(f"\n{pairs_text(pairs)}\n")
    if args.json is not None:
        save_json(args.json, _numbers(args.source, env_id, kwargs, config, result, pairs))
    return 0


def _environment(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Return id and arguments: those on the command line over those of the run."""
    known: dict[str, Any] = {}
    if is_run_folder(args.source):
        known = RunFolder(args.source).read_config()
    env_id = args.env or known.get("env_id")
    if env_id is None:
        raise ValueError(f"expected --env ENV, since {args.source!r} is no run's folder")
    trained_on = known.get("env_kwargs", {}) if env_id == known.get("env_id") else {}
    return env_id, {**trained_on, **env_kwargs(env_id, args.env_kwarg)}


def _numbers(
    source: str,
    env_id: str,
    kwargs: dict[str, Any],
    config: EvaluationConfig,
    result: BeforeAfter,
    pairs: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "source": source,
        "env_id": env_id,
        "env_kwargs": kwargs,
        "config": vars(config),
        **result.as_dict(),
        "samples": pairs,
    }
