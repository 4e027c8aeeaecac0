"""When to stop reading: the exact optimum of the gold utility, by dynamic programming.

What a reader knows behind k remarks is how many of them were negative, neutral and positive; in the
middle of a remark nothing more is known. So the best decision is a function of these counts, and
all of them can be enumerated.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from textgym.envs_registry.monitor_streams.remarks import NUM_REMARKS, WORDS_PER_REMARK

Counts = tuple[int, int, int]

# Row: what the stream is; column: what one of its remarks says (negative, neutral, positive).
REMARK_RATES = np.array([[0.62, 0.23, 0.15], [0.2, 0.6, 0.2], [0.15, 0.23, 0.62]])
# What each word that was waited for costs a right decision.
WORD_COST = 0.005


def right_decision(num_words: int) -> float:
    """Return what a right decision is worth after `num_words` words; a wrong one is worth 0."""
    return 1.0 - WORD_COST * num_words


def beliefs(counts: Counts) -> np.ndarray:
    """Return the probability of each polarity of the stream after these remarks, (3,)."""
    likelihoods = np.prod(REMARK_RATES ** np.array(counts), axis=1)
    return likelihoods / likelihoods.sum()


@cache
def best_value(counts: Counts = (0, 0, 0)) -> float:
    """Return the gold utility that the best reader can expect from here on."""
    return max(_value_of_deciding(counts), _value_of_waiting(counts))


@cache
def decides(counts: Counts) -> bool:
    """Return whether the best reader decides here, for the likeliest polarity."""
    return _value_of_deciding(counts) >= _value_of_waiting(counts)


@cache
def likeliest(counts: Counts) -> int:
    """Return the likeliest polarity, as an index; the first of several."""
    return int(np.argmax(beliefs(counts)))


def _value_of_deciding(counts: Counts) -> float:
    return right_decision(WORDS_PER_REMARK * sum(counts)) * float(beliefs(counts).max())


def _value_of_waiting(counts: Counts) -> float:
    if sum(counts) == NUM_REMARKS:
        return 0.0
    rates = beliefs(counts) @ REMARK_RATES
    return sum(
        float(rate) * best_value(after) for rate, after in zip(rates, _after(counts), strict=True)
    )


def _after(counts: Counts) -> Iterator[Counts]:
    for said in range(3):
        yield tuple(n + (i == said) for i, n in enumerate(counts))  # type: ignore[misc]
