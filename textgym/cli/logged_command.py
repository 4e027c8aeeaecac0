"""A command that another one runs, with what it prints and warns of in a file."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from textgym.cli.main import main


def run_logged(command: Sequence[str], log: Path) -> None:
    """Run a command and append all its output to a file.

    Args:
        command: Its name and arguments, without "textgym".
        log: The file; its folder is made.

    Raises:
        ValueError: It failed; the message has the command and the last line of the file.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(log.open("a", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(stream))
        stack.enter_context(contextlib.redirect_stderr(stream))
        status = main(command)
    if status != 0:
        last = log.read_text("utf-8").strip().splitlines()[-1:]
        raise ValueError(f"`textgym {' '.join(command)}` failed: {' '.join(last)}")
