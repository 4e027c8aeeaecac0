"""The help of flags, read from where it is written: docstrings and the strings below fields."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap

_ENTRY = re.compile(r"^(\*{0,2}\w+)(?: \([^)]*\))?: +(.*)$")


def field_help(config_class: type) -> dict[str, str]:
    """Return the help of each field: the string below it, or its entry under "Attributes:"."""
    found: dict[str, str] = {}
    for cls in reversed(config_class.__mro__[:-1]):
        found.update(section_entries(inspect.getdoc(cls) or "", "Attributes:"))
        found.update(_strings_below_fields(cls))
    return found


def section_entries(doc: str, heading: str) -> dict[str, str]:
    """Entries of one section of a Google docstring: name to text."""
    lines = doc.split("\n")
    if heading not in (line.strip() for line in lines):
        return {}
    start = [line.strip() for line in lines].index(heading) + 1
    found: dict[str, str] = {}
    name = ""
    for line in lines[start:]:
        if line.strip() and not line.startswith(" "):
            break
        entry = _ENTRY.match(line.strip()) if line.startswith("    ") and line[4:5] != " " else None
        if entry:
            name = entry.group(1).lstrip("*")
            found[name] = entry.group(2)
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _strings_below_fields(cls: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return {}
    found: dict[str, str] = {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    for statement, below in zip(body, body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            found[statement.target.id] = below.value.value
    return found
