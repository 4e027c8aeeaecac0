"""A whole study on a tiny model: what is measured, when training ends, and going on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textgym.agents.dependence.cells import measure, measure_reference
from textgym.agents.dependence.plan import Cell, DependenceConfig, DependenceFolder
from textgym.agents.dependence.study import run_study
from textgym.agents.storage.checkpoint import load_json, save_json

MakeConfig = Callable[..., DependenceConfig]


@pytest.fixture
def claimed(tiny_config: MakeConfig, tmp_path: Path) -> tuple[DependenceConfig, DependenceFolder]:
    config, folder = tiny_config(), DependenceFolder(tmp_path / "study")
    folder.claim(config)
    save_json(folder.reference, measure_reference(config))
    return config, folder


def test_the_reference_is_measured_on_held_out_prompts(
    claimed: tuple[DependenceConfig, DependenceFolder],
) -> None:
    facts = load_json(claimed[1].reference)
    assert len(facts["golds"]) == len(facts["lengths"]) == 8
    assert facts["gold_mean"] == pytest.approx(np.mean(facts["golds"]))
    assert facts["liking"] == pytest.approx(np.mean(facts["lengths"]) / 10)


def test_an_honest_teacher_and_gold_agree_on_the_same_prompts(
    claimed: tuple[DependenceConfig, DependenceFolder],
) -> None:
    row = measure(*claimed, Cell(bias=0.0, seed=0))
    # Without a bias the teacher says gold: on unseen prompts nothing is left of dependence.
    assert row["apparent_unseen"]["mean"] == pytest.approx(row["autonomous"]["mean"], abs=1e-6)
    assert row["labels"] > 20 and row["tokens"] == 256
    assert row["training"][-1]["labels"] == row["labels"]
    assert all(0 <= r["score"] <= 1 for r in row["training"])
    again = measure(*claimed, Cell(bias=0.0, seed=0))
    assert {**row} == {**again}


def test_a_biased_teacher_sees_more_than_there_is(
    claimed: tuple[DependenceConfig, DependenceFolder],
) -> None:
    honest, biased = (measure(*claimed, Cell(bias=bias, seed=0)) for bias in (0.0, 30.0))
    assert biased["length"]["mean"] > honest["length"]["mean"]
    assert biased["apparent_unseen"]["mean"] > biased["autonomous"]["mean"] + 0.2


@pytest.mark.parametrize(
    ("cell", "most_labels", "tokens"),
    [
        (Cell(bias=0.0, seed=0, budget=10.0), 10, 64),
        # A quarter of 32 rounds: rounds 0 to 7, the first rollout exactly.
        (Cell(bias=0.0, seed=0, dropout=0.25), 64, 64),
    ],
)
def test_training_ends_where_the_teacher_does(
    claimed: tuple[DependenceConfig, DependenceFolder], cell: Cell, most_labels: int, tokens: int
) -> None:
    row = measure(*claimed, cell)
    assert 0 < row["labels"] <= most_labels
    assert row["tokens"] <= 2 * tokens
    if cell.budget is not None:
        assert row["labels"] == cell.budget


def test_a_study_goes_on_where_it_stopped(tiny_config: MakeConfig, tmp_path: Path) -> None:
    config = tiny_config(biases=(0.0,), dropouts=(), n_steps=64)
    said: list[str] = []
    folder = run_study(config, tmp_path, report=said.append)
    assert said == ["bias0-seed0", "bias0-budget10-seed0"]
    before = folder.result(config.cells()[0]).read_bytes()
    larger = replace(config, budgets=(10.0, 5.0))
    run_study(larger, tmp_path, report=said.append)
    assert said[2:] == ["bias0-seed0", "bias0-budget10-seed0", "bias0-budget5-seed0"]
    assert folder.result(config.cells()[0]).read_bytes() == before
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        run_study(replace(larger, n_seeds=2), tmp_path, workers=0)


def test_a_task_without_gold_is_refused(tiny_config: MakeConfig) -> None:
    config = tiny_config(env_id="RLHF-Helpful-v0", env_kwargs={})
    with pytest.raises(ValueError):
        measure_reference(config)
