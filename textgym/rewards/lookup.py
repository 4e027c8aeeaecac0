"""Rewards by name: "model", "gold", a metric, "module:function", or a weighted sum of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping

from textgym.callables import is_callable_name
from textgym.rewards.base import RewardFn
from textgym.rewards.composed import WeightedSum
from textgym.rewards.functions import FunctionReward
from textgym.rewards.programmatic import PROGRAMMATIC

_NEEDS = {
    "gold": "a task with a gold utility; this one has none",
    "model": "reward_model=..., a folder or hub name, got None",
    "teacher": "a task with a gold utility for the teacher to know; this one has none",
}
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+"
_TERM = re.compile(rf"\s*([+-]?)\s*(?:({_NUMBER})\s*\*\s*)?([A-Za-z_][\w.:]*)\s*")


def reward_named(
    expression: str,
    *,
    gold: RewardFn | None = None,
    make_model: Callable[[], RewardFn] | None = None,
    make_teacher: Callable[[], RewardFn] | None = None,
    workers: int = 1,
) -> RewardFn:
    """Return the reward that an expression such as "0.7*model+0.3*rouge" names.

    Args:
        expression: Names joined by + and -, each with an optional weight.
        gold: What "gold" means, None where the task has none.
        make_model: Makes what "model" means, called only where it is named; None for none.
        make_teacher: The same for "teacher".
        workers: Threads of a "module:function", see `FunctionReward`.

    Raises:
        ValueError: Not of that form, an unknown name (the nearest is named), or one that the task
            does not have.
    """
    parts = _parsed(expression)
    makers = {"gold": None if gold is None else lambda: gold, "model": make_model}
    makers["teacher"] = make_teacher
    rewards = [(weight, _single(name, makers, workers)) for weight, name in parts]
    if len(rewards) == 1 and rewards[0][0] == 1.0:
        return rewards[0][1]
    return WeightedSum(rewards)


def _parsed(expression: str) -> list[tuple[float, str]]:
    parts: list[tuple[float, str]] = []
    position = 0
    while position < len(expression):
        match = _TERM.match(expression, position)
        if match is None or (parts and not match[1]):
            break
        weight = float(match[2] or 1.0)
        parts.append((-weight if match[1] == "-" else weight, match[3]))
        position = match.end()
    if not parts or position < len(expression):
        raise ValueError(
            f"reward must be a name or a sum such as '0.7*model+0.3*rouge', got {expression!r}"
        )
    return parts


def _single(
    name: str, makers: Mapping[str, Callable[[], RewardFn] | None], workers: int
) -> RewardFn:
    if name in makers:
        make = makers[name]
        if make is None:
            raise ValueError(f"reward {name!r} needs {_NEEDS[name]}")
        return make()
    if name in PROGRAMMATIC:
        return PROGRAMMATIC[name]()
    if is_callable_name(name):
        return FunctionReward.from_name(name, workers)
    known = [*makers, *PROGRAMMATIC]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"reward must be one of {known} or 'module:function', got {name!r}{hint}")
