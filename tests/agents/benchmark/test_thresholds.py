"""From which mean on an environment is solved."""

from __future__ import annotations

import pytest

from textgym.agents.benchmark.plan import ROWS
from textgym.agents.benchmark.tabular_regret import BY_REGRET
from textgym.agents.benchmark.thresholds import MAZES, threshold_of
from textgym.agents.cards.facts import facts_of


def test_the_rows_own_or_none() -> None:
    assert threshold_of("RLHF-CartPole-v0") == 475.0
    assert threshold_of("RLHF-LunarLander-v0") == 200.0
    assert threshold_of("RLHF-Summarize-v0") is None
    assert threshold_of("TwoState-v0") is None


@pytest.mark.parametrize(("env_id", "best"), list(zip(MAZES, (0.5, 0.6, 0.3), strict=True)))
def test_mazes_are_solved_a_twentieth_of_the_way_below_the_best(env_id: str, best: float) -> None:
    # Random actions were measured to get -2.83, -3.09 and -2.66 (docs/environments).
    measured = {"TextMaze-v0": -2.83, "TextMaze-Corridor-v0": -3.09, "TextMaze-TMaze-v0": -2.66}
    assert threshold_of(env_id) == pytest.approx(best - (best - measured[env_id]) / 20, abs=0.02)


def test_mazes_and_worlds_are_those_whose_documentation_says_so() -> None:
    for env_id, row in ROWS.items():
        if row.family == "tabular":
            said = " ".join(facts_of(row).sections["Description"].split())
            assert ("95 % of the way from `random_return`" in said) == (env_id in MAZES)
            assert ("a mean `regret` below 0.02" in said) == (env_id in BY_REGRET)
