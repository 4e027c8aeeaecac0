"""Cells, files, and settings that make no sense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from textgym.agents.dependence.plan import DependenceConfig, DependenceFolder


def config(**changes: Any) -> DependenceConfig:
    return DependenceConfig(**{"env_id": "RLHF-Summarize-v0", **changes})


def test_each_setting_is_met_once_and_the_outermost_biases_meet_all() -> None:
    cells = config(biases=(0.0, 1.0, 2.0), budgets=(9.0, 5.0), dropouts=(0.5,)).cells()
    assert [cell.name for cell in cells] == [
        "bias0-seed0",
        "bias1-seed0",
        "bias2-seed0",
        "bias0-dropout0.5-seed0",
        "bias2-dropout0.5-seed0",
        "bias0-budget9-seed0",
        "bias2-budget9-seed0",
        "bias0-budget5-seed0",
        "bias2-budget5-seed0",
    ]
    alone = config(biases=(1.0,), budgets=(5.0,), dropouts=(), n_seeds=2).cells()
    assert [(c.bias, c.budget, c.seed) for c in alone] == [
        (1.0, None, 0),
        (1.0, None, 1),
        (1.0, 5.0, 0),
        (1.0, 5.0, 1),
    ]


def test_a_folder_takes_a_larger_grid_and_nothing_else(tmp_path: Path) -> None:
    first = config(biases=(0.0,))
    DependenceFolder(tmp_path).claim(first)
    DependenceFolder(tmp_path).claim(replace(first, biases=(0.0, 3.0), n_seeds=2))
    with pytest.raises(ValueError, match="holds a study with n_steps=48000, got 9"):
        DependenceFolder(tmp_path).claim(replace(first, n_steps=9))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_prompts": 1}, "n_prompts must be at least 2, got 1"),
        ({"n_steps": 0}, "n_steps must be at least 1"),
        ({"biases": ()}, "biases must be at least one number"),
        ({"biases": (1.0, 1.0)}, "biases must differ"),
        ({"biases": (float("nan"),)}, "length_bias must be a finite number, got nan"),
        ({"budgets": (0.5,)}, "cannot buy one label"),
        ({"dropouts": (1.0,)}, "dropouts must each lie between 0 and 1"),
        ({"bias_knob": "position_bias"}, "bias_knob must be one of"),
        ({"reward_weight": 0.0}, "reward_weight must be above 0"),
        ({"teacher": "length_bias=1"}, "must leave 'length_bias' to the study"),
        ({"teacher": "dropout_round=3"}, "must leave 'dropout_round' to the study"),
        ({"teacher": "betta=1"}, "did you mean 'beta'"),
        ({"bias_knob": "keyword_bias"}, "needs keywords="),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**changes)
