r"""Train one algorithm on every environment of a suite, and write a table with intervals.

Every run of a text environment is a `textgym train` of its own, every run of an environment that is
paid by feedback alone a `textgym feedback-loop`, whose command stands in its file; worlds without
tokens are trained on by Stable-Baselines3 itself. Beside what was trained
stand random actions, the reference and the best policy that is known. The output folder gets cells/
(one JSON file for each measurement), runs/, results.json and results.md. An interrupted benchmark
is continued by the same command; more seeds and other environments in the same folder keep what is
there.

Examples:
  textgym benchmark --suite PROBES --algo ppo --seeds 3
  textgym benchmark --suite TEACHING --seeds 1 --steps 20000
  textgym benchmark --envs Probe-Copy-v0,Probe-Parity-v0 --algo a2c --workers 2
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from textgym.agents.benchmark.plan import (
    ROWS,
    BenchmarkConfig,
    BenchmarkFolder,
    reason_to_leave_out,
)
from textgym.agents.benchmark.results import as_plain, lines, table
from textgym.agents.evaluation.policy_sources import ALGORITHMS
from textgym.agents.runs.job_pool import run_jobs
from textgym.agents.storage.checkpoint import save_json
from textgym.cli.benchmark_cells import run_cell
from textgym.cli.environment import load_quietly
from textgym.cli.manual_parser import nearest
from textgym.suites import suite

_CONFIG = BenchmarkConfig(env_ids=("Probe-ExactKL-v0",))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym benchmark`."""
    parser.add_argument("--suite", help="PROBES, TEACHING, RLHF or ALL [default: PROBES]")
    parser.add_argument("--envs", metavar="IDS", help="ids with commas between them, no suite")
    parser.add_argument(
        "--algo", choices=sorted(ALGORITHMS), default="ppo", help="what trains [default: ppo]"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=_CONFIG.n_seeds,
        help="runs of each; 0 for what is known without training [default: 3]",
    )
    parser.add_argument(
        "--steps", type=int, help="tokens or steps of each run [default: each one's own budget]"
    )
    parser.add_argument(
        "--eval-prompts",
        type=int,
        default=_CONFIG.eval_prompts,
        help="held-out prompts, or episodes, that every policy is measured on [default: 256]",
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="processes that train side by side [default: 1]"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the benchmark; one that was interrupted goes on [default: "
        "runs/benchmark-SUITE]",
    )


def run(args: argparse.Namespace) -> int:
    """Measure what is missing and write the table."""
    load_quietly()
    ids = _ids(args)
    config = BenchmarkConfig(
        env_ids=ids,
        algo=args.algo,
        n_seeds=args.seeds,
        steps=args.steps,
        eval_prompts=args.eval_prompts,
    )
    folder = BenchmarkFolder(args.output or Path("runs") / f"benchmark-{args.suite or 'PROBES'}")
    folder.claim(config)
    cells = config.cells()
    missing = [cell for cell in cells if not folder.result(cell).is_file()]
    jobs = [partial(run_cell, config, folder, cell) for cell in missing]
    with tqdm(total=len(cells), initial=len(cells) - len(missing), unit="cell") as bar:
        for name in run_jobs(jobs, args.workers):
            bar.set_postfix_str(name, refresh=False)
            bar.update()
    found = lines(config, folder.load(cells))
    save_json(folder.path / "results.json", {"algo": config.algo, "lines": as_plain(found)})
    text = table(found)
    (folder.path / "results.md").write_text(f"{text}\n", encoding="utf-8")
    sys.stdout.write(f"{text}\n\nresults: {folder.path / 'results.md'}\n")
    return 0


def _ids(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the environments; of a suite, those that can be benchmarked, and say why others not.

    Raises:
        ValueError: An unknown suite or id (the nearest is named), or both were given.
    """
    if args.envs is None:
        chosen = []
        for env_id in suite(args.suite or "PROBES"):
            reason = reason_to_leave_out(ROWS[env_id], args.seeds, args.algo)
            if reason is None:
                chosen.append(env_id)
            else:
                sys.stderr.write(f"textgym benchmark: {env_id} is left out: {reason}\n")
        return tuple(chosen)
    if args.suite is not None:
        raise ValueError(f"expected --suite or --envs, got both: {args.suite!r}, {args.envs!r}")
    ids = tuple(part.strip() for part in args.envs.split(",") if part.strip())
    for env_id in ids:
        if env_id not in ROWS:
            raise ValueError(f"unknown environment {env_id!r}{nearest(env_id, ROWS)}")
    return ids
