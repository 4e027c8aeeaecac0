"""Money and steps of the rounds."""

from __future__ import annotations

from typing import Any

import pytest

from textgym.agents.feedback_loop.plan import LoopPlan


def test_the_budget_is_spread_and_spent_in_the_last_round() -> None:
    plan = LoopPlan(budget=100, rounds=4, initial_share=0.4)
    assert [plan.budget_until(index) for index in range(4)] == pytest.approx([40, 60, 80, 100])
    assert LoopPlan(budget=100, rounds=1).budget_until(0) == 100


def test_the_steps_add_up() -> None:
    plan = LoopPlan(rounds=4, initial_share_of_steps=0.2)
    steps = [plan.steps_of(index, 1000) for index in range(5)]
    assert steps == [200] * 5 and sum(steps) == 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": -1.0}, "budget must be a finite number of at least 0, got -1.0"),
        ({"budget": float("nan")}, "budget must be a finite number of at least 0, got nan"),
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"initial_share": 1.5}, r"initial_share must be a number in \[0, 1\], got 1.5"),
        ({"total_steps": 0}, "total_steps must be at least 1, got 0"),
        ({"eval_episodes": 0}, "eval_episodes must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LoopPlan(**changes)
