"""The table of commands, and what a user's mistake looks like."""

from __future__ import annotations

import subprocess
import sys
import types
import warnings

import pytest

from textgym.cli import main as main_module
from textgym.cli.main import COMMANDS, Command, main


@pytest.fixture
def toy_command(monkeypatch):
    """A command `toy` whose run() does what the test puts into the returned list."""
    actions = []
    module = types.ModuleType("toy_command_module", doc="Do what the test says.")
    module.add_arguments = lambda parser: parser.add_argument("--size", type=int, default=1)
    module.run = lambda args: actions[0](args)
    monkeypatch.setitem(sys.modules, "toy_command_module", module)
    monkeypatch.setitem(main_module.COMMANDS, "toy", Command("toy_command_module", "a toy"))
    return actions


def raising(error):
    def action(args):
        raise error

    return action


def test_help_lists_every_command_quickly_and_without_torch():
    code = (
        "import sys, time; from textgym.cli.main import main; status = main(['--help']);"
        "assert 'torch' not in sys.modules; print(time.process_time(), file=sys.stderr);"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stderr) < 0.8  # seconds of CPU, however busy the machine; about 0.2
    for name, command in COMMANDS.items():
        assert f"  {name}" in done.stdout
        assert command.summary in done.stdout


def test_no_arguments_print_the_help(capsys):
    assert main([]) == 0
    assert "usage: textgym COMMAND" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("textgym 0.")


def test_an_unknown_command_names_the_nearest(capsys):
    assert main(["trane"]) == 2
    assert "unknown command 'trane'; did you mean 'train'?" in capsys.readouterr().err


def test_a_command_gets_its_arguments(toy_command):
    seen = []
    toy_command.append(lambda args: seen.append(args.size))
    assert main(["toy", "--size", "3"]) == 0
    assert seen == [3]


def test_an_unknown_flag_exits_2(toy_command, capsys):
    assert main(["toy", "--sizes", "3"]) == 2
    assert "did you mean '--size'?" in capsys.readouterr().err


def test_help_of_a_command_starts_with_its_description(toy_command, capsys):
    assert main(["toy", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: textgym toy")
    assert "Do what the test says." in text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("expected a positive\n  size, got -1"), "expected a positive size, got -1"),
        (KeyError("no field 'x'"), "no field 'x'"),
        (FileNotFoundError("no folder 'runs/x'"), "no folder 'runs/x'"),
    ],
)
def test_a_users_error_is_one_line_and_exit_2(toy_command, capsys, error, line):
    toy_command.append(raising(error))
    assert main(["toy"]) == 2
    assert capsys.readouterr().err == f"textgym toy: {line}\n"


def test_a_warning_is_one_line(toy_command, capsys):
    toy_command.append(lambda args: warnings.warn("judged by the\n same reward", stacklevel=1))
    assert main(["toy"]) == 0
    assert capsys.readouterr().err == "textgym toy: warning: judged by the same reward\n"


def test_traceback_on_request(toy_command):
    toy_command.append(raising(ValueError("bad")))
    with pytest.raises(ValueError, match="bad"):
        main(["toy", "--traceback"])


def test_a_bug_keeps_its_traceback(toy_command):
    toy_command.append(raising(RuntimeError("shape mismatch")))
    with pytest.raises(RuntimeError):
        main(["toy"])


def test_an_interrupt_is_quiet(toy_command, capsys):
    toy_command.append(raising(KeyboardInterrupt()))
    assert main(["toy"]) == 130
    assert "interrupted" in capsys.readouterr().err
