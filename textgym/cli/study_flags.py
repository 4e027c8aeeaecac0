"""The flags that studies share: a grid as lists of numbers, workers, and a folder to go on in.

A study has a config dataclass some of whose fields are tuples of numbers: `--noises 0,0.1`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from textgym.cli.environment import add_env_arguments, env_kwargs
from textgym.cli.field_help import field_help
from textgym.cli.flags import add_config_flags, given

Config = TypeVar("Config")
Lists = Mapping[str, Callable[[str], float]]
"""Fields that hold several numbers, and what reads each of them: int or float."""


def add_study_flags(
    parser: argparse.ArgumentParser,
    config_class: type,
    lists: Lists,
    *,
    command: str,
    quick: str,
    workers: str,
) -> None:
    """Add the flags of a study.

    Args:
        parser: Where to add them.
        config_class: The study's settings, a dataclass.
        lists: Its fields that are given as numbers with commas between them.
        command: "dependence": the folder is called so by default.
        quick: Help of `--quick`.
        workers: Help of `--workers`.
    """
    add_env_arguments(parser, positional=True)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--workers",
        type=int,
        default=None,
        help=f"{workers} [default: one for each core, at most 4]",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help=f"folder of the study; one that was interrupted goes on [default: runs/{command}-ENV]",
    )
    helps = field_help(config_class)
    defaults: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(config_class)}
    for name in lists:
        shown = ",".join(f"{value:g}" for value in defaults[name])
        parser.add_argument(
            _flag(name),
            metavar="LIST",
            default=argparse.SUPPRESS,
            help=f"{helps[name]} [default: {shown}]",
        )
    add_config_flags(parser, config_class, skip=("env_id", "env_kwargs", *lists))


def study_config(
    args: argparse.Namespace, config_class: type[Config], lists: Lists, quick: Mapping[str, Any]
) -> Config:
    """Build the settings from the flags that were given, those of `--quick`, and the defaults.

    Raises:
        ValueError: A list holds something else than numbers.
    """
    names = {field.name for field in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    chosen = given(args, names)
    read = {name: _numbers(name, chosen[name], lists[name]) for name in lists if name in chosen}
    settings = {**(quick if args.quick else {}), **chosen, **read}
    kwargs = env_kwargs(args.env, args.env_kwarg)
    return config_class(**{**settings, "env_id": args.env, "env_kwargs": kwargs})


def study_folder(args: argparse.Namespace, command: str) -> Path:
    """Return where the study is kept."""
    return args.output or Path("runs") / f"{command}-{args.env.replace('/', '_')}"


def study_workers(args: argparse.Namespace) -> int:
    """Return how many processes work side by side."""
    return args.workers or min(4, os.cpu_count() or 1)


def _numbers(name: str, text: str, read: Callable[[str], float]) -> tuple[float, ...]:
    """Read "1,2,3"; an empty text is no number."""
    try:
        return tuple(read(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(
            f"{_flag(name)} must be numbers with commas between them, got {text!r}"
        ) from error


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
