"""The `textgym` command: a table of sub-commands, each loaded when it is called."""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import gymnasium as gym

from textgym.cli.manual_parser import ManualParser, nearest


class Command(NamedTuple):
    """One row of the table.

    Attributes:
        module: Module with `add_arguments(parser)` and `run(args) -> int`; its docstring is the
            description in `--help`.
        summary: What the command does, for the list of commands.
    """

    module: str
    summary: str


COMMANDS = {
    "train": Command("textgym.cli.train", "train an agent on an environment with PPO or A2C"),
    "evaluate": Command("textgym.cli.evaluate", "judge a run or a model on held-out prompts"),
    "play": Command("textgym.cli.play", "type a response yourself and see it rewarded"),
    "new-env": Command("textgym.cli.new_env", "write the file of a new environment and its test"),
    "envs": Command("textgym.cli.envs", "list the environments"),
    "sft": Command("textgym.cli.sft", "fine-tune a language model on prompts and responses"),
    "reward": Command("textgym.cli.reward", "train a reward model on comparisons"),
    "reward learn": Command(
        "textgym.cli.reward_learn", "train a reward model on feedback of all kinds at once"
    ),
    "reward evaluate": Command("textgym.cli.reward_evaluate", "say what reward models are worth"),
    "feedback": Command("textgym.cli.feedback", "count, export, import and erase human feedback"),
    "feedback-loop": Command(
        "textgym.cli.feedback_loop", "learn a reward from feedback and a policy from it, in rounds"
    ),
    "overoptimize": Command(
        "textgym.cli.overoptimize", "draw proxy and gold against the distance from the reference"
    ),
    "dependence": Command(
        "textgym.cli.dependence", "measure what an agent can do without its teacher"
    ),
    "benchmark": Command("textgym.cli.benchmark", "train one algorithm on a suite, with a table"),
    "cards": Command("textgym.cli.cards", "write the card of every environment"),
    "build": Command("textgym.cli.build", "rebuild the models bundled with an environment"),
}

USAGE = """usage: textgym COMMAND ...

Reinforcement learning from human feedback as a literal Gymnasium loop.

commands:
{commands}

options:
  -h, --help     this page; `textgym COMMAND --help` is the manual of a command
  --version      the installed version

examples:
  textgym train RLHF-Summarize-v0
  textgym evaluate runs/RLHF-Summarize-v0-ppo-0-20260131-120000
  textgym play RLHF-Summarize-v0
"""

USER_ERRORS = (ValueError, TypeError, KeyError, OSError, ImportError, MemoryError, gym.error.Error)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        Exit status: 0 when all went well, 2 after an error of the user's, 130 when interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # some consoles cannot show every character
    arguments = list(sys.argv[1:] if argv is None else argv)
    name, rest = _named(arguments)
    if name in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return 0
    if name == "--version":
        sys.stdout.write(f"textgym {importlib.metadata.version('textgym')}\n")
        return 0
    if name not in COMMANDS:
        sys.stderr.write(f"textgym: unknown command {name!r}{nearest(name, COMMANDS)}\n")
        sys.stderr.write(f"(commands: {', '.join(COMMANDS)})\n")
        return 2
    try:
        return _call(name, rest)
    except SystemExit as stop:  # argparse: --help or a bad flag
        return int(stop.code or 0)


def _named(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the command, of one word or two, and what follows it."""
    two = " ".join(arguments[:2])
    if two in COMMANDS:
        return two, arguments[2:]
    return (arguments[0], arguments[1:]) if arguments else ("--help", [])


def usage() -> str:
    """Return the help of `textgym` itself."""
    width = max(map(len, COMMANDS))
    rows = (f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items())
    return USAGE.format(commands="\n".join(rows))


def _call(name: str, arguments: list[str]) -> int:
    module = importlib.import_module(COMMANDS[name].module)
    parser = ManualParser(f"textgym {name}", description=module.__doc__ or "")
    module.add_arguments(parser)
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the code an error came from"
    )
    args = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _one_line_warning(name)
            return module.run(args) or 0
    except KeyboardInterrupt:
        sys.stderr.write(f"textgym {name}: interrupted\n")
        return 130
    except USER_ERRORS as error:
        if args.traceback:
            raise
        sys.stderr.write(f"textgym {name}: {_one_line(error)}\n")
        return 2


def _one_line_warning(name: str) -> Callable[..., None]:
    """Show warnings as a command's own lines, without the code that raised them."""

    def show(message: Warning | str, category: type[Warning], *place: object) -> None:
        if issubclass(category, UserWarning | RuntimeWarning):
            sys.stderr.write(f"textgym {name}: warning: {' '.join(str(message).split())}\n")

    return show


def _one_line(error: BaseException) -> str:
    # str(KeyError) is the repr of its argument.
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(text).split()) or type(error).__name__
