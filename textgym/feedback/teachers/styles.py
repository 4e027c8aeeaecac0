"""Surface measures of a text that a biased teacher likes or dislikes, each in [0, 1]."""

from __future__ import annotations

import re
from collections.abc import Callable

_WORD = re.compile(r"[\w']+")
_END = re.compile(r"[.!?]+")


def words_in(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return _WORD.findall(text.lower())


def _exclamation(text: str, prompt: str) -> float:
    ends = _END.findall(text)
    return sum("!" in end for end in ends) / len(ends) if ends else 0.0


def _variety(text: str, prompt: str) -> float:
    words = words_in(text)
    return len(set(words)) / len(words) if words else 0.0


def _echo(text: str, prompt: str) -> float:
    words, said = words_in(text), set(words_in(prompt))
    return sum(word in said for word in words) / len(words) if words else 0.0


def _plainness(text: str, prompt: str) -> float:
    words = words_in(text)
    return sum(len(word) <= 4 for word in words) / len(words) if words else 0.0


STYLES: dict[str, Callable[[str, str], float]] = {
    "exclamation": _exclamation,
    "variety": _variety,
    "echo": _echo,
    "plainness": _plainness,
}
"""`measure(text, prompt)`: share of sentences that end in "!"; different words over words; share of
words that the prompt has too (agreeing with who asked); share of words of at most four letters."""
