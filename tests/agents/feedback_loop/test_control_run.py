"""Results and their table; what it is all for, as a slow test."""

from __future__ import annotations

from pathlib import Path

import pytest

from textgym.agents.feedback_loop.control_run import ControlRunConfig, run_control
from textgym.agents.feedback_loop.loop import RoundRow
from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.feedback_loop.seed_runs import SeedResult, result_dict, result_table
from textgym.feedback.prices import Prices
from textgym.feedback.segment_feedback import SegmentFeedbackConfig
from textgym.intervals import mean_interval


def result(seed: int, final: float, true: float | None) -> SeedResult:
    row = RoundRow(
        round_index=0,
        steps=1200,
        asked=7,
        labels=7,
        spent=7.0,
        held_out={},
        true_return=mean_interval([final, final]).as_dict(),
    )
    return SeedResult(
        seed=seed, rounds=(row,), final_return=final, true_reward_return=true, labels=7, spent=7.0
    )


def test_the_share_needs_a_positive_return_to_compare_with() -> None:
    assert result(0, 400.0, 500.0).share == 0.8
    assert result(0, 400.0, None).share is None
    assert result(0, -50.0, -200.0).share is None


def test_table_and_file() -> None:
    results = [result(0, 400.0, 500.0), result(1, 450.0, 500.0)]
    lines = result_table(results).splitlines()
    assert lines[1].split() == ["0", "0", "1,200", "7", "7.0", "400.000", "[400.000,", "400.000]"]
    assert lines[-1].split() == ["1", "7", "450", "500", "0.90"]
    config = ControlRunConfig(env_id="CartPole-v1")
    assert result_dict(config, {}, results)["least_share"] == 0.8
    assert result_dict(config, {}, [result(0, 1.0, None)])["least_share"] is None
    assert result_table([result(0, 1.0, None)]).splitlines()[-1].split() == ["0", "7", "1"]


def test_a_budget_that_buys_nothing_of_the_kind_is_refused_at_once() -> None:
    plan = LoopPlan(budget=5.0)
    dear = Prices(comparison=4.0, action=0.6)
    with pytest.raises(ValueError, match="budget 5.0 cannot buy one label: a comparison costs at"):
        ControlRunConfig(env_id="CartPole-v1", plan=plan, prices=dear)
    scores = SegmentFeedbackConfig(feedback_kind="score")
    ControlRunConfig(env_id="CartPole-v1", plan=plan, prices=dear, feedback=scores)


@pytest.mark.slow
def test_cartpole_is_learned_from_comparisons_alone(tmp_path: Path) -> None:
    config = ControlRunConfig(env_id="RLHF-CartPole-v0", plan=LoopPlan(budget=200.0))
    (found,) = run_control(config, tmp_path, lambda done, words: None)
    assert found.labels <= 200 and found.share is not None and found.share >= 0.8
