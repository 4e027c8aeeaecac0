"""The contenders of `benchmarks.env_step` play the same episodes; no step works row by row."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.env_step import (
    DUMMY,
    NATIVE,
    PROMPT_TOKENS,
    SYNC,
    VOCABULARY,
    Actions,
    contenders,
    measure,
    ratios_of,
)


def test_contenders_play_the_same_episodes() -> None:
    rows = contenders(4, width=PROMPT_TOKENS + 20)
    actions = Actions.drawn(4, num_steps=6)
    first = {name: contender.begin() for name, contender in rows.items()}
    assert all(np.array_equal(first[NATIVE], obs) for obs in first.values())
    for chosen in (*actions.plain, *actions.ending):
        seen = {name: contender.step(chosen) for name, contender in rows.items()}
        assert np.array_equal(seen[NATIVE], seen[SYNC])
        assert np.array_equal(seen[NATIVE], seen[DUMMY])


def test_actions_end_a_twentieth_of_the_rows_or_none() -> None:
    actions = Actions.drawn(64, num_steps=5)
    assert not (actions.plain == VOCABULARY - 1).any()
    assert (actions.ending == VOCABULARY - 1).sum(axis=1).tolist() == [3] * 5


def count_calls(work: Any) -> int:
    calls = 0

    def note(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_a_step_without_ends_calls_as_many_functions_for_many_rows_as_for_few() -> None:
    counts = {}
    for num_rows in (8, 128):
        contender = contenders(num_rows)[NATIVE]
        contender.begin()
        actions = Actions.drawn(num_rows, num_steps=2).plain
        contender.step(actions[0])
        counts[num_rows] = count_calls(lambda c=contender, a=actions: c.step(a[1]))
    assert counts[8] == counts[128]


def test_measure_gives_every_figure() -> None:
    measured = {num_rows: measure(num_rows, num_steps=2, repeats=1) for num_rows in (4, 20)}
    ratios = ratios_of(measured)
    assert {"env_step_us_n20", "dummy_over_env_step_n20", "sync_over_env_step_n4_with_ends"} <= set(
        ratios
    )
    assert all(value > 0 for value in ratios.values())
