"""Where a mapping finds its values in a row of a file: paths into nested data.

`question` is a column, `feedback.errors` goes into a mapping, `preference.0` into a list, and `*`
stands for each entry in turn: `systems.*.reviews.*.rating`. Columns whose paths have stars in the
same places go together, entry by entry; `@` at the end is the key that the last star stands for.
`a+b` joins texts by a line, `=1` is the number 1 itself (any JSON value, or else the text).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textgym.dataset_files import Row, column_value

Keys = tuple[str, ...]


def expanded(row: Row, mapping: Mapping[str, str], number: int) -> Iterator[dict[str, Any]]:
    """Yield name to value for every way to fill the stars; once where there are none.

    Args:
        row: Of a file.
        mapping: Name to path.
        number: The row's, for errors.

    Raises:
        ValueError: No such column, or a path that leads nowhere; the row is named.
    """
    longest = max(mapping.values(), key=lambda path: path.count("*"))
    for keys in _bindings(row, longest, number):
        yield {name: _value(row, path, keys, number) for name, path in mapping.items()}


def listed(row: Row, path: str, number: int) -> list[Any]:
    """Return the values of a path for every way to fill its stars, in order."""
    return [_value(row, path, keys, number) for keys in _bindings(row, path, number)]


def _bindings(row: Row, path: str, number: int) -> Iterator[Keys]:
    before, star, after = _plain(path).partition("*")
    if not star:
        yield ()
        return
    entries = column_value(row, before.rstrip("."), number) if before.rstrip(".") else row
    for key in _keys_of(entries, before, number):
        for rest in _bindings(row, f"{before}{key}{after}", number):
            yield (key, *rest)


def _plain(path: str) -> str:
    """The part of a joined path that has the stars."""
    return max(path.split("+"), key=lambda part: part.count("*"))


def _keys_of(entries: Any, where: str, number: int) -> list[str]:
    if isinstance(entries, Mapping):
        return list(entries)
    if isinstance(entries, Sequence) and not isinstance(entries, str):
        return [str(index) for index in range(len(entries))]
    raise ValueError(
        f"row {number}: '*' needs a list or a mapping at {where.rstrip('.')!r}, got {entries!r}"
    )


def _value(row: Row, path: str, keys: Keys, number: int) -> Any:
    if path.startswith("="):
        return _literal(path[1:])
    if "+" not in path:
        return _found(row, path, keys, number)
    parts = [_found(row, part.strip(), keys, number) for part in path.split("+")]
    return "\n".join(str(part) for part in parts if part is not None and str(part).strip())


def _found(row: Row, path: str, keys: Keys, number: int) -> Any:
    used = 0
    for key in keys:
        if "*" not in path:
            break
        path = path.replace("*", key, 1)
        used += 1
    if path.endswith("@"):
        return keys[max(0, used - 1)] if keys else ""
    return column_value(row, path, number)


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
