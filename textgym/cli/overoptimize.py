r"""Draw proxy and gold against the distance from the reference, for best-of-n and for PPO.

Reward models are trained on comparisons of the reference model's own responses, for each size of
data and each share of noise; then the best of n samples is taken by them, and PPO is trained
against them, at several KL weights. What they say (proxy) and what was meant (gold) are drawn over
the square root of the KL, with the fits d(alpha - beta d) and d(alpha - beta log d) and the peaks
marked. ENV needs a gold utility and a language model as its reference. The output folder gets
cells/ (one JSON file for each measurement), curves.png, gold.png, alarms.png, results.json and
results.md. An interrupted study is continued by the same command, and a larger grid in the same
folder keeps what is there.

Examples:
  textgym overoptimize RLHF-Summarize-v0 --quick
  textgym overoptimize RLHF-Hackable-v0 --data-sizes 2000 --noises 0 --kl-coefs 0,0.05
  textgym overoptimize RLHF-Summarize-v0 --n-seeds 3 --workers 4 --output runs/overoptimize-3
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from textgym.agents.overoptimization.figures import draw_study
from textgym.agents.overoptimization.plan import StudyConfig
from textgym.agents.overoptimization.results import alarm_table, as_plain, curves, table
from textgym.agents.overoptimization.study import num_jobs, run_study
from textgym.agents.storage.checkpoint import save_json
from textgym.cli.environment import add_env_arguments, env_kwargs, load_quietly
from textgym.cli.field_help import field_help
from textgym.cli.flags import add_config_flags, given

_LISTS = {"data_sizes": int, "noises": float, "kl_coefs": float}
QUICK: dict[str, Any] = {
    "data_sizes": (100, 600),
    "noises": (0.0,),
    "kl_coefs": (0.0,),
    "n_prompts": 32,
    "n_samples": 16,
    "n_steps": 20_000,
    "n_envs": 32,
    "n_ensemble": 2,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym overoptimize`."""
    add_env_arguments(parser, positional=True)
    parser.add_argument(
        "--quick", action="store_true", help="a small grid, for minutes; other flags win over it"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=None,
        help="processes that measure side by side [default: one for each core, at most 4]",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the study; one that was interrupted goes on [default: "
        "runs/overoptimize-ENV]",
    )
    helps = field_help(StudyConfig)
    defaults: dict[str, Any] = {field.name: field.default for field in fields(StudyConfig)}
    for name in _LISTS:
        shown = ",".join(f"{value:g}" for value in defaults[name])
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="LIST",
            default=argparse.SUPPRESS,
            help=f"{helps[name]} [default: {shown}]",
        )
    add_config_flags(parser, StudyConfig, skip=("env_id", "env_kwargs", *_LISTS))


def run(args: argparse.Namespace) -> int:
    """Measure what is missing, draw, and print the tables."""
    load_quietly()
    config = _config(args)
    output = args.output or Path("runs") / f"overoptimize-{args.env.replace('/', '_')}"
    workers = args.workers or min(4, os.cpu_count() or 1)
    with tqdm(total=num_jobs(config), unit="cell", desc="over-optimisation") as bar:

        def report(name: str) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        folder = run_study(config, output, workers=workers, report=report)
    found = curves(config, folder)
    figures = draw_study(config, folder, found, output)
    tables = f"{table(found)}\n"
    if any(curve.cell.kind == "ppo" for curve in found):
        tables += f"\n{alarm_table(found)}\n"
    save_json(output / "results.json", as_plain(found))
    (output / "results.md").write_text(tables, encoding="utf-8")
    sys.stdout.write(f"{tables}\nfigures: {', '.join(map(str, figures))}\n")
    return 0


def _config(args: argparse.Namespace) -> StudyConfig:
    chosen = given(args, {field.name for field in fields(StudyConfig)})
    lists = {name: _numbers(name, chosen[name]) for name in _LISTS if name in chosen}
    settings = {**(QUICK if args.quick else {}), **chosen, **lists}
    kwargs = env_kwargs(args.env, args.env_kwarg)
    return StudyConfig(**{**settings, "env_id": args.env, "env_kwargs": kwargs})


def _numbers(name: str, text: str) -> tuple[Any, ...]:
    """Read "1,2,3"; an empty text is no number."""
    try:
        return tuple(_LISTS[name](part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(
            f"--{name.replace('_', '-')} must be numbers with commas between them, got {text!r}"
        ) from error
