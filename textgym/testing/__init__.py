"""Checks for authors of environments, by family: `check_env("MyMaze-v0", "tabular")`.

`check_text_env("MyTask-v0")` is the same for a task whose actions are tokens. Every check is a
function of a `Case`, so that one that fails can be run alone.
"""

from textgym.testing.battery import CHECKS, FAMILIES, check_env, check_text_env
from textgym.testing.case import Case
from textgym.testing.gold_order import GoldOrder, check_gold_order, measure_gold

__all__ = [
    "CHECKS",
    "FAMILIES",
    "Case",
    "GoldOrder",
    "check_env",
    "check_gold_order",
    "check_text_env",
    "measure_gold",
]
