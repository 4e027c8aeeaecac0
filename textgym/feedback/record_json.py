"""Records and queries as JSON objects, one to a line: what files, databases and checkpoints hold.

The prompt stands once at the top of an object, not in every response to it. Values that say
nothing (None, empty, False) are left out, except of fields that a record cannot do without.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import IO, Any, TypeVar

from textgym.feedback.queries import Query
from textgym.feedback.records import RECORD_KINDS, SCHEMA_VERSION, FeedbackRecord
from textgym.feedback.responses import Annotator, PromptText, Response, Segment, Span

Json = dict[str, Any]
Made = TypeVar("Made")
Decode = Callable[[Any, PromptText], Any]


def record_to_json(record: FeedbackRecord) -> Json:
    """Return the record as a JSON object that names its kind and the schema's version."""
    head = {"schema_version": SCHEMA_VERSION, "kind": record.kind}
    prompt = record.prompt
    return {**head, "prompt": _fields_of(prompt, prompt), **_fields_of(record, prompt)}


def record_from_json(data: Mapping[str, Any]) -> FeedbackRecord:
    """Make the record that `record_to_json` wrote.

    Raises:
        ValueError: A schema from a newer version, an unknown kind or field, a missing field, or
            a value that the record refuses.
    """
    fields = _checked_version(data, "feedback record")
    kind = fields.pop("kind", None)
    if kind not in RECORD_KINDS:
        raise ValueError(f"kind must be one of {tuple(RECORD_KINDS)}, got {kind!r}")
    prompt = _prompt(fields.pop("prompt", None))
    if kind == "skipped":
        fields["shown_prompt"] = prompt
    return _make(RECORD_KINDS[kind], fields, prompt)


def query_to_json(query: Query) -> Json:
    """Return the query as a JSON object."""
    head = {"schema_version": SCHEMA_VERSION, "prompt": _fields_of(query.prompt, query.prompt)}
    return {**head, **_fields_of(query, query.prompt)}


def query_from_json(data: Mapping[str, Any]) -> Query:
    """Make the query that `query_to_json` wrote; errors as `record_from_json`."""
    fields = _checked_version(data, "query")
    prompt = _prompt(fields.pop("prompt", None))
    return _make(Query, {**fields, "prompt": prompt}, prompt)


def to_line(data: Mapping[str, Any]) -> str:
    """Return one line of JSON, always the same for the same object."""
    return json.dumps(
        data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain
    )


def write_jsonl(path: str | Path, records: Iterable[FeedbackRecord]) -> int:
    """Write records to a file (`.gz` compresses), all or nothing; returns how many."""
    return write_rows(path, map(record_to_json, records))


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON objects, one to a line, to a file (`.gz` compresses), all or nothing."""
    path, count = Path(path), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _open(partial, "wt", is_compressed=path.suffix == ".gz") as file:
            for row in rows:
                file.write(to_line(row) + "\n")
                count += 1
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def read_jsonl(path: str | Path) -> Iterator[FeedbackRecord]:
    """Yield the records of a file; errors name the line.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A line that is no record.
    """
    path = Path(path)
    with _open(path, "rt", is_compressed=path.suffix == ".gz") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield record_from_json(_object(line))
            except ValueError as error:
                raise ValueError(f"{str(path)!r} line {number}: {error}") from error


def _fields_of(value: Any, prompt: PromptText) -> Json:
    """Fields of a dataclass that say something; nested ones too."""
    found = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        is_required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        is_said_above = isinstance(item, PromptText) and item == prompt
        if not is_said_above and (is_required or not _is_empty(item)):
            found[field.name] = _encoded(item, prompt)
    return found


def _is_empty(item: Any) -> bool:
    if item is None or item is False:
        return True
    return isinstance(item, str | tuple | Mapping) and not item


def _encoded(item: Any, prompt: PromptText) -> Any:
    if dataclasses.is_dataclass(item):
        return _fields_of(item, prompt)
    if isinstance(item, tuple):
        if isinstance(item[0] if item else None, int | float | str):
            return list(item)  # token ids: most of a record, and nothing within them
        return [_encoded(part, prompt) for part in item]
    return dict(item) if isinstance(item, Mapping) else item


def _prompt(data: Any) -> PromptText:
    fields = dict(_mapping("prompt", data))
    fields["token_ids"] = _listed("token_ids", fields.get("token_ids", ()))
    pairs = _listed("messages", fields.get("messages", ()))
    fields["messages"] = tuple(_listed("message", pair) for pair in pairs)
    return _construct(PromptText, fields)


def _response(data: Any, prompt: PromptText) -> Response:
    fields = dict(_mapping("response", data))
    fields["prompt"] = _prompt(fields["prompt"]) if "prompt" in fields else prompt
    fields["token_ids"] = _listed("token_ids", fields.get("token_ids", ()))
    if "segment" in fields:
        fields["segment"] = _segment(fields["segment"])
    return _construct(Response, fields)


def _segment(data: Any) -> Segment:
    fields = dict(_mapping("segment", data))
    rows = _listed("observations", fields.get("observations", ()))
    fields["observations"] = tuple(_listed("observation", row) for row in rows)
    actions = _listed("actions", fields.get("actions", ()))
    fields["actions"] = tuple(_action(action) for action in actions)
    fields["true_rewards"] = _listed("true_rewards", fields.get("true_rewards", ()))
    return _construct(Segment, fields)


def _action(data: Any) -> Any:
    return tuple(data) if isinstance(data, list | tuple) else data


_DECODERS: dict[str, Decode] = {
    "annotator": lambda data, prompt: _construct(Annotator, _mapping("annotator", data)),
    "span": lambda data, prompt: _construct(Span, _mapping("span", data)),
    "better_action": lambda data, prompt: _action(data),
    "shown_order": lambda data, prompt: _listed("shown_order", data),
    "ranks": lambda data, prompt: _listed("ranks", data),
    **dict.fromkeys(("response", "chosen", "rejected", "better"), _response),
    **dict.fromkeys(
        ("ranked", "skipped", "responses"),
        lambda data, prompt: tuple(_response(i, prompt) for i in _listed("responses", data)),
    ),
}


def _make(cls: type[Made], fields: Mapping[str, Any], prompt: PromptText) -> Made:
    decoded = {
        name: _DECODERS[name](data, prompt) if name in _DECODERS else data
        for name, data in fields.items()
    }
    return _construct(cls, decoded)


def _construct(cls: type[Made], fields: Mapping[str, Any]) -> Made:
    """Call a dataclass; what does not fit its fields becomes a ValueError that lists them."""
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise ValueError(f"{cls.__name__} has no field {unknown[0]!r}; it has {sorted(known)}")
    missing = [
        name
        for name, field in known.items()
        if name not in fields
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{cls.__name__} needs {missing[0]!r}, got {sorted(fields)}")
    return cls(**fields)


def _mapping(name: str, data: Any) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ValueError(f"{name} must be a JSON object, got {data!r}")
    return data


def _listed(name: str, data: Any) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise ValueError(f"{name} must be a list, got {data!r}")
    return tuple(data)


def _checked_version(data: Mapping[str, Any], name: str) -> Json:
    fields = dict(_mapping(name, data))
    version = fields.pop("schema_version", None)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"schema_version of a {name} must be an integer from 1, got {version!r}")
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"schema_version {version} of a {name} is newer than {SCHEMA_VERSION}, the newest that "
            f"this version of textgym reads; install a newer textgym"
        )
    return fields


def _object(line: str) -> Mapping[str, Any]:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON, got {line[:60]!r}") from error
    return _mapping("a line", data)


def _open(path: Path, mode: str, *, is_compressed: bool) -> IO[str]:
    if is_compressed:
        return gzip.open(path, mode, encoding="utf-8")  # type: ignore[return-value]
    return path.open(mode, encoding="utf-8", newline="\n" if "w" in mode else None)


def _plain(value: Any) -> int | float:
    """Numbers of NumPy, which JSON does not know."""
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"expected a JSON value, got {value!r}")
