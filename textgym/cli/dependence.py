r"""Measure how much of an agent's ability is its teacher's presence, and how much is its own.

Agents are trained by PPO on the scores of a simulated teacher. Apparent ability is what that
teacher says of the trained agent; autonomous ability is gold on held-out prompts once the teacher
has left, on the same scale from 0 to 1, on which the reference model has 0.5 either way. Their
difference is drawn against the teacher's bias, against the labels that it may give and against
the time that it stays. ENV needs a gold utility and a language model as its reference. The output
folder gets cells/ (one JSON file for each agent), dependence.png, results.json and results.md. An
interrupted study is continued by the same command, and a larger grid in the same folder keeps what
is there.

Examples:
  textgym dependence RLHF-Summarize-v0 --quick
  textgym dependence RLHF-Summarize-v0 --n-seeds 3 --output runs/dependence-3
  textgym dependence RLHF-Summarize-v0 --bias-knob keyword_bias --teacher "keywords=please|thanks"
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from textgym.agents.dependence.figures import draw
from textgym.agents.dependence.plan import DependenceConfig
from textgym.agents.dependence.results import as_plain, findings, table
from textgym.agents.dependence.study import run_study
from textgym.agents.storage.checkpoint import save_json
from textgym.cli.environment import add_env_arguments, env_kwargs, load_quietly
from textgym.cli.field_help import field_help
from textgym.cli.flags import add_config_flags, given

_LISTS = ("biases", "budgets", "dropouts")
QUICK: dict[str, Any] = {
    "biases": (0.0, 2.0),
    "budgets": (),
    "dropouts": (),
    "n_steps": 9_000,
    "n_prompts": 128,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym dependence`."""
    add_env_arguments(parser, positional=True)
    parser.add_argument(
        "--quick", action="store_true", help="two short agents; other flags win over it"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=None,
        help="processes that train side by side [default: one for each core, at most 4]",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the study; one that was interrupted goes on [default: runs/dependence-ENV]",
    )
    helps = field_help(DependenceConfig)
    defaults: dict[str, Any] = {field.name: field.default for field in fields(DependenceConfig)}
    for name in _LISTS:
        shown = ",".join(f"{value:g}" for value in defaults[name])
        parser.add_argument(
            f"--{name}",
            metavar="LIST",
            default=argparse.SUPPRESS,
            help=f"{helps[name]} [default: {shown}]",
        )
    add_config_flags(parser, DependenceConfig, skip=("env_id", "env_kwargs", *_LISTS))


def run(args: argparse.Namespace) -> int:
    """Train what is missing, draw, and print the table."""
    load_quietly()
    config = _config(args)
    output = args.output or Path("runs") / f"dependence-{args.env.replace('/', '_')}"
    workers = args.workers or min(4, os.cpu_count() or 1)
    with tqdm(total=len(config.cells()), unit="agent", desc="dependence") as bar:

        def report(name: str) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        folder = run_study(config, output, workers=workers, report=report)
    found = findings(config, folder)
    figure = draw(found, output / "dependence.png")
    save_json(output / "results.json", as_plain(config, found))
    (output / "results.md").write_text(f"{table(found)}\n", encoding="utf-8")
    sys.stdout.write(f"{table(found)}\nfigure: {figure}\n")
    return 0


def _config(args: argparse.Namespace) -> DependenceConfig:
    chosen = given(args, {field.name for field in fields(DependenceConfig)})
    lists = {name: _numbers(name, chosen[name]) for name in _LISTS if name in chosen}
    settings = {**(QUICK if args.quick else {}), **chosen, **lists}
    kwargs = env_kwargs(args.env, args.env_kwarg)
    return DependenceConfig(**{**settings, "env_id": args.env, "env_kwargs": kwargs})


def _numbers(name: str, text: str) -> tuple[float, ...]:
    """Read "1,2,3"; an empty text is no number."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(
            f"--{name} must be numbers with commas between them, got {text!r}"
        ) from error
