"""Rollout speed: the literal loop against `generate()`, rewards included and not.

(a) The vector environment stepped token by token, with sampling, log-probs and values, over
    transformers' `generate()` doing sampling alone.
(b) The same with rewards settled (reward model and reference) over the conventional rollout:
    `generate()`, then padded teacher-forced passes of policy, value, reference and reward model.

Beside them `generate()` with a static cache and the loop without a cache. Only real tokens count:
no padding, nothing after an end token. Contenders take turns within one run; the ratio is the
median over rounds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch

from benchmarks.report import (
    CLOCKS,
    median_ratio,
    paired_rates,
    parse_arguments,
    print_table,
    write_json,
)
from benchmarks.rollout_contenders import Conventional, LiteralLoop, UncachedLoop
from benchmarks.rollout_models import ENV_ID, SUBJECTS, Subject, model_arguments
from benchmarks.rollout_phases import Breakdown

LOOP, GENERATE = "(a) literal loop", "generate()"
SETTLED, CONVENTIONAL = "(b) literal loop, settled", "conventional rollout"
QUICK_BATCHES = 2  # a whole rollout of the settled loop
STATIC, UNCACHED = "generate(), static cache", "loop without cache"


def contenders(
    subject: Subject, loop: LiteralLoop, uncached: UncachedLoop, conventional: Conventional
) -> dict[str, Callable[[], int]]:
    """Return what is timed in each round, by name."""
    num_steps = conventional.num_batches * loop.env.max_new_tokens
    return {
        LOOP: lambda: loop.play(num_steps),
        GENERATE: conventional.sample,
        STATIC: conventional.sample_static,
        SETTLED: lambda: loop.rollout(num_steps),
        CONVENTIONAL: conventional.rollout,
        UNCACHED: lambda: uncached.play(subject.uncached_steps),
    }


def ratios_of(rates: dict[str, list[float]], suffix: str) -> dict[str, float]:
    """Return the ratios by name; those of other models than the bundled one end in `suffix`."""
    pairs = {
        "loop_over_generate": (LOOP, GENERATE),
        "settled_over_conventional": (SETTLED, CONVENTIONAL),
        "loop_over_static_generate": (LOOP, STATIC),
        "loop_over_uncached": (LOOP, UNCACHED),
    }
    return {name + suffix: median_ratio(rates, *pair) for name, pair in pairs.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--model", choices=SUBJECTS, default="bundled", help="what is measured")
    parser.add_argument(
        "--value",
        choices=("shared", "separate"),
        default="shared",
        help="a value head on the policy, or a value model with a cache of its own",
    )
    parser.add_argument("--rows", type=int, help="rows, and prompts of one generate()")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table and the breakdown, write the JSON."""
    args = parse_arguments(__doc__ or "", argv, add_arguments, repeats=None)
    subject = SUBJECTS[args.model]
    num_rows = args.rows or subject.num_rows
    repeats = args.repeats or (1 if args.quick else subject.repeats)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        env_kwargs = model_arguments(subject, Path(folder))
        loop = LiteralLoop(num_rows, args.device, env_kwargs, args.value)
        uncached = UncachedLoop(num_rows, args.device, env_kwargs)
        num_batches = min(QUICK_BATCHES, subject.num_batches) if args.quick else subject.num_batches
        conventional = Conventional(loop, args.device, num_batches)
        works = contenders(subject, loop, uncached, conventional)
        rates = paired_rates(works, repeats, CLOCKS[args.clock])
        breakdown = Breakdown(CLOCKS[args.clock])
        with breakdown.open():
            loop.rollout(num_batches * loop.env.max_new_tokens)
    ratios, shares = ratios_of(rates, subject.suffix), breakdown.shares()
    print_table(
        f"{ENV_ID}, model {subject.name}, {args.value} value, {num_rows} rows, tokens per second",
        ("contender", "median", "slowest", "fastest"),
        [(name, median(found), min(found), max(found)) for name, found in rates.items()],
    )
    print_table("ratios, median over rounds", ("ratio", "value"), list(ratios.items()))
    print_table("settled loop, share of time", ("phase", "share"), list(shares.items()))
    details = {
        "clock": args.clock,
        "value": args.value,
        "rows": num_rows,
        "tokens_per_second": rates,
        "shares": shares,
    }
    write_json(args.json, "rollout", ratios, details)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
