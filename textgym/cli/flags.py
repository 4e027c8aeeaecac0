"""Command-line flags made from frozen config dataclasses: type, default and help from the class.

The help is what the class says of its fields (`field_help.py`). A flag that was not given leaves no
trace in the parsed arguments, so that a preset can tell a choice from a default.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from textgym.cli.field_help import field_help, section_entries

Config = TypeVar("Config")


def add_config_flags(
    parser: argparse.ArgumentParser,
    config_class: type,
    *,
    title: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    types: Mapping[str, Any] | None = None,
    skip: Sequence[str] = (),
) -> None:
    """Add one flag per field of a config dataclass, as one titled group of the help.

    Args:
        parser: Where to add them.
        config_class: A dataclass whose fields are numbers, strings, bools, `Literal`s, or one of
            these or None.
        title: Heading of the group; by default the first line of the class's docstring.
        defaults: Defaults to show instead of the class's own (a preset's).
        types: Types to read instead of the class's own annotations.
        skip: Fields that get no flag.
    """
    doc = inspect.getdoc(config_class) or ""
    group = parser.add_argument_group(title or doc.split("\n")[0].rstrip("."))
    hints = {**typing.get_type_hints(config_class), **(types or {})}
    help_texts = field_help(config_class)
    for field in dataclasses.fields(config_class):
        if field.name in skip or not field.init:
            continue
        default = (defaults or {}).get(field.name, _default_of(field))
        _add_flag(group, field.name, hints[field.name], default, help_texts.get(field.name, ""))


def add_parameter_flags(
    parser: argparse.ArgumentParser,
    function: Callable[..., Any],
    names: Sequence[str],
    *,
    title: str,
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Add one flag for each of the named parameters of a function, as one titled group.

    The types are the annotations' and the help is the docstring's entry under "Args:"; of a class
    they are its constructor's and its own docstring's.
    """
    group = parser.add_argument_group(title)
    is_class = isinstance(function, type)
    hints = typing.get_type_hints(function.__init__ if is_class else function)  # type: ignore[misc]
    help_texts = section_entries(inspect.getdoc(function) or "", "Args:")
    parameters = inspect.signature(function).parameters
    for name in names:
        default = (defaults or {}).get(name, parameters[name].default)
        _add_flag(group, name, hints.get(name, str), default, help_texts.get(name, ""))


def given(args: argparse.Namespace, names: Collection[str]) -> dict[str, Any]:
    """Return those of the named flags that were on the command line."""
    return {name: value for name, value in vars(args).items() if name in names}


def config_from(args: argparse.Namespace, config_class: type[Config], **fixed: Any) -> Config:
    """Build the config from the flags that were given, the class's defaults, and `fixed`."""
    names = {field.name for field in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    return config_class(**{**given(args, names), **fixed})


def describe_fields(config_class: type) -> str:
    """Return one paragraph per field of a config dataclass: name, type, default and help."""
    hints, help_texts = typing.get_type_hints(config_class), field_help(config_class)
    paragraphs = []
    for field in dataclasses.fields(config_class):
        kind = _describe(_alternatives(hints[field.name]))
        text = " ".join(help_texts.get(field.name, "").split())
        text = f"{text} [default: {_shown(_default_of(field))}]".strip()
        body = textwrap.fill(text, 80, initial_indent="    ", subsequent_indent="    ")
        paragraphs.append(f"{field.name}={kind}\n{body}")
    return "\n".join(paragraphs)


def parse_assignments(items: Sequence[str], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Read `name=value` items into typed keyword arguments.

    Args:
        items: What was given, such as `["max_new_tokens=32", "dataset=none"]`.
        hints: Type of each known name; an unknown name keeps its text.

    Raises:
        ValueError: An item has no "=", or its value is not of the type.
    """
    values = {}
    for item in items:
        name, equals, text = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise ValueError(f"expected name=value, got {item!r}")
        try:
            values[name] = reader(hints.get(name, str))(text)
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"{name}: {error}") from error
    return values


def with_newlines(template: str | None) -> str | None:
    r"""Read "\n" and "\t" as a shell passes them; None stays None."""
    return template and template.replace("\\n", "\n").replace("\\t", "\t")


def reader(hint: Any) -> Callable[[str], Any]:
    """Return a function from text to a value of the annotated type; "none" where None is allowed.

    The function raises `argparse.ArgumentTypeError` naming the text and what was expected.
    """
    kinds = _alternatives(hint)
    optional = type(None) in kinds
    plain = [kind for kind in kinds if kind is not type(None)]

    def read(text: str) -> Any:
        if optional and text.lower() == "none":
            return None
        for kind in sorted(plain, key=_strictness):
            try:
                return _read_one(kind, text)
            except ValueError:
                continue
        raise argparse.ArgumentTypeError(f"expected {_describe(kinds)}, got {text!r}")

    return read


def _default_of(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _add_flag(group: Any, name: str, hint: Any, default: Any, help_text: str) -> None:
    flag = "--" + name.replace("_", "-")
    required = default is dataclasses.MISSING or default is inspect.Parameter.empty
    shown = "required" if required else f"default: {_shown(default)}"
    text = f"{' '.join(help_text.split())} [{shown}]".replace("%", "%%").strip()
    options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text, "required": required}
    if _alternatives(hint) == (bool,):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
    else:
        options["metavar"] = _describe(_alternatives(hint))
        group.add_argument(flag, type=reader(hint), **options)


def _shown(default: Any) -> str:
    if default is None:
        return "none"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        return tuple(kind for arg in typing.get_args(hint) for kind in _alternatives(arg))
    return (hint,)


def _strictness(kind: Any) -> int:
    order = {bool: 0, int: 1, float: 2, str: 4}
    return order.get(kind, 3)


def _read_one(kind: Any, text: str) -> Any:
    if typing.get_origin(kind) is typing.Literal:
        return _read_choice(typing.get_args(kind), text)
    if kind is bool:
        return _read_choice_of_bool(text)
    if kind is int:
        return int(text.replace("_", ""))
    if kind is float:
        return float(text)
    return text


def _read_choice(choices: tuple[Any, ...], text: str) -> Any:
    for choice in choices:
        if str(choice) == text:
            return choice
    raise ValueError(text)


def _read_choice_of_bool(text: str) -> bool:
    if text.lower() in ("true", "yes", "1", "on"):
        return True
    if text.lower() in ("false", "no", "0", "off"):
        return False
    raise ValueError(text)


def _describe(kinds: tuple[Any, ...]) -> str:
    return "|".join(_describe_one(kind) for kind in kinds)


def _describe_one(kind: Any) -> str:
    if kind is type(None):
        return "none"
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(str(choice) for choice in typing.get_args(kind))
    names = {int: "INT", float: "NUMBER", str: "TEXT", bool: "true|false"}
    return names.get(kind, "TEXT")
