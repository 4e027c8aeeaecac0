"""List the environments: id and one line each.

`--verbose` adds the arguments that `gym.make` takes (and `--env-kwarg` of the other commands).

Examples:
  textgym envs
  textgym envs --verbose
"""

from __future__ import annotations

import argparse
import sys
import textwrap

from textgym.cli.environment import config_class_of
from textgym.cli.flags import describe_fields
from textgym.envs_registry.specs import ENVIRONMENTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym envs`."""
    parser.add_argument("--verbose", action="store_true", help="also list each one's arguments")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    width = max(len(row.id) for row in ENVIRONMENTS)
    for row in ENVIRONMENTS:
        sys.stdout.write(f"{row.id:{width}}  {row.summary}\n")
        if args.verbose:
            fields = describe_fields(config_class_of(row.id))
            sys.stdout.write(textwrap.indent(fields, "    ") + "\n")
    return 0
