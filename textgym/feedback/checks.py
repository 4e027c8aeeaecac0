"""Checks that the records of feedback share; every error names the value and what was expected."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any


def check_fraction(name: str, value: float, *, above_zero: bool = False) -> None:
    """Reject what is no number in [0, 1] (or (0, 1]); NaN is none."""
    interval = "(0, 1]" if above_zero else "[0, 1]"
    is_inside = is_number(value) and 0 <= value <= 1 and not (above_zero and value == 0)
    if not is_inside:  # NaN compares false
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")


def check_integer(name: str, value: int | None, *, least: int = 0) -> None:
    """Reject what is neither None nor an integer of at least `least`."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def check_finite(name: str, value: float | None, *, unit: str = "") -> None:
    """Reject what is neither None nor a finite number."""
    if value is not None and not (is_number(value) and math.isfinite(value)):
        kind = f"a finite number of {unit}" if unit else "a finite number"
        raise ValueError(f"{name} must be {kind}, got {value!r}")


def check_text(name: str, value: str, *, may_be_empty: bool = False) -> None:
    """Reject what is no text, and text of blanks alone."""
    if not isinstance(value, str) or not (may_be_empty or value.strip()):
        kind = "a string" if may_be_empty else "a string that is not empty"
        raise ValueError(f"{name} must be {kind}, got {value!r}")


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Reject what is not among the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {tuple(choices)}, got {value!r}")


def check_permutation(name: str, value: Sequence[int], size: int) -> None:
    """Reject what does not name 0 … size − 1 once each."""
    if sorted(value) != list(range(size)):
        raise ValueError(
            f"{name} must be a permutation of 0..{size - 1}, one number for each response, "
            f"got {tuple(value)!r}"
        )


def check_json(name: str, value: Mapping[str, Any]) -> None:
    """Reject what JSON cannot hold: only None, booleans, finite numbers, text, lists, mappings."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a mapping, got {value!r}")
    for key, item in value.items():
        if not isinstance(key, str) or not _is_json(item):
            raise ValueError(f"{name} must hold only what JSON holds, got {key!r}: {item!r}")


def plain_ids(name: str, value: Iterable[int]) -> tuple[int, ...]:
    """Return token ids as plain integers; reject what is no integer of at least 0."""
    try:
        ids = tuple(map(operator.index, value))
    except TypeError:
        raise ValueError(f"{name} must be integers, got {value!r}") from None
    if ids and min(ids) < 0:
        raise ValueError(f"{name} must be at least 0, got {min(ids)}")
    return ids


def is_number(value: object) -> bool:
    """Whether it is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_json(value: object) -> bool:
    if value is None or isinstance(value, bool | int | str):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return isinstance(value, list | tuple) and all(_is_json(item) for item in value)
