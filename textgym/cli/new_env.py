r"""Write the file of a new text environment, with example data that works, and its test.

NAME is an id such as MyTask-v0 (-v0 is added where no version stands). The file has the headings of
every environment's documentation, a data source, a gold utility and both classes; what is yours to
do is marked FILL. As written it is a whole task of symbols that trains in seconds; fill in one
thing after the other, and its test keeps watch. In a folder that holds specs.py, which is TextGym's
own envs_registry, the row of that table is printed instead of a call of gym.register.

Examples:
  textgym new-env MyTask
  textgym new-env RLHF-Recipes-v0 --output envs_registry
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

import gymnasium as gym

from textgym.cli.new_env_template import ENVIRONMENT, REGISTER, ROW, TEST

_NAME = re.compile(r"(?P<words>[A-Z][A-Za-z0-9]*(?:-[A-Z][A-Za-z0-9]*)*)(?P<version>-v\d+)?")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|-")
# Prefixes of ids that the names of files and classes go without.
_PREFIXES = ("RLHF-", "Probe-")


class Names(NamedTuple):
    """The names of one environment: MyTask-v0, my_task, MyTask."""

    id: str
    file: str
    class_name: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym new-env`."""
    parser.add_argument("name", metavar="NAME", help="id of the environment, such as MyTask-v0")
    parser.add_argument(
        "--output", type=Path, default=Path(), help="folder of the file [default: this one]"
    )


def run(args: argparse.Namespace) -> int:
    """Write both files and say what comes next."""
    names, folder = names_of(args.name), args.output
    if not folder.is_dir():
        raise ValueError(f"--output must be a folder, got {str(folder)!r}")
    is_ours = (folder / "specs.py").is_file()
    module = f"textgym.envs_registry.{names.file}" if is_ours else names.file
    tests = folder.resolve().parent / "tests" / folder.resolve().name if is_ours else folder
    file, test = folder / f"{names.file}.py", tests / f"test_{names.file}.py"
    for path in (file, test):
        if path.exists():
            raise FileExistsError(f"expected no file {str(path)!r}, which is never written over")
    words = {"ID": names.id, "MODULE": module, "CLASS": names.class_name}
    register = "" if is_ours else REGISTER.substitute(words)
    text = ENVIRONMENT.substitute(
        words,
        REGISTER=register,
        REGISTER_IMPORT="" if is_ours else "import gymnasium as gym\n",
    )
    file.write_text(text, encoding="utf-8")
    test.write_text(TEST.substitute(words), encoding="utf-8")
    sys.stdout.write(_next_steps(file, test, names, words, is_ours=is_ours))
    return 0


def names_of(name: str) -> Names:
    """Return id, file and class of a name.

    Raises:
        ValueError: No name of words in capitals, or an id that is taken.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"expected a name such as MyTask, RLHF-MyTask or MyTask-Short-v0, got {name!r}"
        )
    words, env_id = match["words"], match["words"] + (match["version"] or "-v0")
    if env_id in gym.registry:
        raise ValueError(f"{env_id!r} exists already, expected a new name")
    for prefix in _PREFIXES:
        words = words.removeprefix(prefix)
    return Names(env_id, _HUMPS.sub("_", words).lower(), words.replace("-", ""))


def _next_steps(
    file: Path, test: Path, names: Names, words: dict[str, str], *, is_ours: bool
) -> str:
    lines = [
        f"wrote {file} and {test}",
        f"  test it:  python -m pytest {test}",
        f"  fill in:  what {file} marks FILL",
    ]
    if is_ours:
        lines.append("  register: this row in specs.py\n" + ROW.substitute(words).rstrip())
    else:
        lines.append(f"  train on: textgym train {names.file}:{names.id} --steps 20000")
    return "\n".join(lines) + "\n"
