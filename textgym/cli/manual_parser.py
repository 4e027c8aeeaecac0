"""The command line's parser: help like a manual page, errors in one line."""

from __future__ import annotations

import argparse
import difflib
import textwrap
from collections.abc import Collection
from typing import Any, NoReturn


class ManualParser(argparse.ArgumentParser):
    """A parser whose help reads like a manual page and whose errors name the nearest flag."""

    def __init__(self, prog: str, description: str = "", epilog: str = "") -> None:
        """Make a parser for the command `prog` ("textgym train")."""
        super().__init__(
            prog=prog,
            description=textwrap.dedent(description).strip(),
            epilog=textwrap.dedent(epilog).strip(),
            formatter_class=ManualFormatter,
            allow_abbrev=False,
        )

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, or say which flag is unknown and what it may have meant."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            name = unknown[0].split("=")[0]
            self.error(f"unknown argument {name!r}{nearest(name, flags)}")
        return known

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2."""
        self.exit(2, f"{self.prog}: {message}\n(`{self.prog} --help` lists every option)\n")


class ManualFormatter(argparse.RawDescriptionHelpFormatter):
    """Options with their help below them, wrapped at 88 columns."""

    def __init__(self, prog: str) -> None:
        """Set the columns."""
        super().__init__(prog, max_help_position=10, width=88)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: Any) -> str:
        # All the options in one line would be a wall; the sections below list them.
        words = [self._prog, "[options]"]
        for action in actions:
            if not action.option_strings:
                name = str(action.metavar or action.dest)
                words.append(f"[{name}]" if action.nargs == "?" else name)
            elif action.required:
                words.append(f"{action.option_strings[0]} {action.metavar or action.dest.upper()}")
        return f"usage: {' '.join(words)}\n\n"


def nearest(name: str, known: Collection[str]) -> str:
    """Return "; did you mean 'x'?" for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
