"""Rows of data files: JSONL, JSONL.gz, and whatever `datasets` opens."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
HUB_PREFIX = "hf:"
_BUILDERS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
}


def read_rows(dataset: str | Path) -> Iterator[Row]:
    """Yield the rows of a file, a folder saved by `datasets`, or `hf:org/name[:split]`.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A line that is not a JSON object, or a name that cannot be fetched.
    """
    name = str(dataset)
    path = Path(name)
    if name.startswith(HUB_PREFIX) or path.is_dir():
        yield from _datasets_rows(name)
    elif not path.is_file():
        raise FileNotFoundError(
            f"expected a data file, a folder of `datasets` or 'hf:org/name', got {name!r}, "
            f"which does not exist"
        )
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        yield from _json_rows(path)
    else:
        yield from _datasets_rows(name)


def column_value(row: Row, column: str, number: int) -> Any:
    """Return one column of a row; dots in `column` go into nested mappings, and into lists.

    "notes.0.text" is of the first item of a list, "notes.*.text" a list of those of all items.

    Raises:
        ValueError: The row has no such column; the message lists those there are.
    """
    if column in row:
        return row[column]
    before, star, after = column.partition(".*.")
    if star:
        items = column_value(row, before, number)
        if not isinstance(items, list):
            raise ValueError(
                f"row {number}: expected a list in column {before!r}, got {type(items).__name__}"
            )
        return [column_value(item, after, number) for item in items]
    value: Any = row
    for part in column.split("."):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            raise ValueError(f"row {number} has no column {column!r}; it has {sorted(row)}")
    return value


def parse_columns(columns: str, allowed: Sequence[str]) -> dict[str, str]:
    """Read `"prompt=source,reference=target"` into a dict.

    Raises:
        ValueError: Not of this form, or a name on the left that is not allowed.
    """
    mapping: dict[str, str] = {}
    for part in columns.split(","):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column or name not in allowed:
            raise ValueError(
                f"columns must look like 'name=column,…' with names among {list(allowed)}, "
                f"got {part!r} in {columns!r}"
            )
        mapping[name] = column
    return mapping


def columns_hint(needed: Iterable[str]) -> str:
    """Return the argument that maps a prompt and what else is needed, columns to be filled in."""
    names = dict.fromkeys(("prompt", *needed))
    return f"dataset_columns='{','.join(f'{name}=COLUMN' for name in names)}'"


def _json_rows(path: Path) -> Iterator[Row]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _json_object(line, path, number)


def _json_object(line: str, path: Path, number: int) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{str(path)!r} line {number}: expected JSON, got {line[:60]!r}"
        ) from error
    if not isinstance(row, dict):
        raise ValueError(f"{str(path)!r} line {number}: expected an object, got {line[:60]!r}")
    return row


def _datasets_rows(name: str) -> Iterator[Row]:
    try:
        import datasets
    except ImportError as error:
        raise ValueError(f"reading {name!r} needs `pip install textgym[data]`") from error
    try:
        rows = _open_datasets(datasets, name)
    except (OSError, RuntimeError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ValueError(
            f"cannot load {name!r} ({type(error).__name__}: {error}); expected the name of a data "
            f"set on the hub and a network, or a local file that `datasets` reads"
        ) from error
    yield from rows


def _open_datasets(datasets: Any, name: str) -> Any:
    if name.startswith(HUB_PREFIX):
        repository, _, split = name[len(HUB_PREFIX) :].partition(":")
        return datasets.load_dataset(repository, split=split or "train")
    path = Path(name)
    if path.is_dir():
        return datasets.load_from_disk(name)
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    options = {"sep": "\t"} if suffix == ".tsv" else {}
    builder = _BUILDERS.get(suffix, "text")
    return datasets.load_dataset(builder, data_files=name, split="train", **options)
