"""Settings in one string, "name=value,name=value": arguments of environments are plain values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any


def parse_knobs(text: str, kinds: Mapping[str, type], what: str) -> dict[str, Any]:
    """Read the settings that a text names; an empty text names none.

    Args:
        text: "beta=2,keywords=please|thank you"; blanks around names and values do not count.
        kinds: Name of each setting to int, float or str.
        what: What the settings are of ("a teacher"), for messages.

    Raises:
        ValueError: Not of that form, a name twice, an unknown one (the nearest is named), or a
            value that is no number where one is expected.
    """
    values: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if not value:
            raise ValueError(f"expected 'name=value,name=value' for {what}, got {part!r}")
        if name in values:
            raise ValueError(f"{name!r} of {what} is given twice, in {text!r}")
        values[name] = _read(name, value, kinds, what)
    return values


def _read(name: str, value: str, kinds: Mapping[str, type], what: str) -> Any:
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(kinds)}"
        raise ValueError(f"{what} has no {name!r}{hint}")
    try:
        return kinds[name](value)
    except ValueError:
        kind = "an integer" if kinds[name] is int else "a number"
        raise ValueError(f"{name} of {what} must be {kind}, got {value!r}") from None
