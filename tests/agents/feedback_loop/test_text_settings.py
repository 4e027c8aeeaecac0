"""What the money buys of each kind, and settings without a meaning."""

from __future__ import annotations

from typing import Any

import pytest

from textgym.agents.feedback_loop.text_run import TextRunConfig
from textgym.agents.feedback_loop.text_settings import TextLoopSettings
from textgym.agents.reward_learning.text_training import TextRewardConfig
from textgym.feedback.prices import Prices


def test_money_is_spread_evenly_over_the_kinds() -> None:
    settings = TextLoopSettings(feedback_kind="comparison+score+language")
    costs = settings.prices_of(Prices(comparison=2.0, language=3.0, action=0.1), num_actions=10)
    assert costs == {"comparison": 4.0, "score": 2.0, "language": 4.0}
    # 25 pay for two of each, and of the 5 that are left for one comparison.
    assert settings.counts(25.0, costs) == {"comparison": 3, "score": 2, "language": 2}
    assert settings.counts(26.0, costs) == {"comparison": 3, "score": 3, "language": 2}
    assert settings.counts(1.0, costs) == {"comparison": 0, "score": 0, "language": 0}
    one = TextLoopSettings()
    assert one.counts(0.3 * 10, {"comparison": 0.3}) == {"comparison": 10}  # despite rounding
    with pytest.raises(ValueError, match=r"prices above 0 for 'comparison'.*0\.0"):
        one.counts(10.0, one.prices_of(Prices(comparison=0.0), 5))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"feedback_kind": "comparison+rank"}, "feedback_kind must be one of .*'rank'"),
        ({"feedback_kind": "score+score"}, "names a kind twice, got 'score"),
        ({"selection": "best"}, "selection must be one of .*'best'"),
        (
            {"selection": "spread", "feedback_kind": "comparison+score"},
            "compares two responses, got feedback_kind 'comparison.score'",
        ),
        ({"candidates": 0}, "candidates must be"),
        ({"n_reference": 1}, "n_reference must be"),
        ({"kl_coef": -0.1}, "kl_coef must be a finite number of at least 0, got -0.1"),
        ({"policy_learning_rate": float("nan")}, "policy_learning_rate must be .* got nan"),
    ],
)
def test_settings_without_a_meaning_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextLoopSettings(**kwargs)


def test_runs_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="budget 1000.0 cannot buy one label: a comparison costs"):
        TextRunConfig(env_id="X", prices=Prices(comparison=999.0, action=1.0))
    alone = TextRewardConfig(model="x", members=1)
    with pytest.raises(ValueError, match="needs at least 2 members, got 1"):
        TextRunConfig(env_id="X", text=TextLoopSettings(selection="disagreement"), reward=alone)
    with pytest.raises(ValueError, match="the reward is what is learned"):
        TextRunConfig(env_id="X", env_kwargs={"reward": "gold"})
