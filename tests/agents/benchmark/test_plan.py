"""What a benchmark measures, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gymnasium.envs.registration import load_env_creator

from textgym.agents.benchmark.plan import (
    ROWS,
    TEXT_FAMILIES,
    BenchmarkConfig,
    BenchmarkFolder,
    Cell,
    reason_to_leave_out,
)
from textgym.agents.storage.checkpoint import save_json
from textgym.env_parts import EnvParts

IDS = ("Probe-ExactKL-v0", "TwoState-v0")


def test_cells_are_the_known_policies_and_every_run() -> None:
    cells = BenchmarkConfig(env_ids=IDS, n_seeds=2).cells()
    assert [cell.name for cell in cells] == [
        "Probe-ExactKL-v0-known",
        "TwoState-v0-known",
        "Probe-ExactKL-v0-ppo-0",
        "TwoState-v0-ppo-0",
        "Probe-ExactKL-v0-ppo-1",
        "TwoState-v0-ppo-1",
    ]


def test_more_seeds_keep_what_is_there_and_other_budgets_do_not(tmp_path: Path) -> None:
    folder = BenchmarkFolder(tmp_path)
    folder.claim(BenchmarkConfig(env_ids=IDS, n_seeds=1))
    cell = Cell(env_id=IDS[0], algo="ppo", seed=0)
    save_json(folder.result(cell), {"trained": 1})
    larger = BenchmarkConfig(env_ids=IDS, n_seeds=3)
    folder.claim(larger)
    assert folder.load(larger.cells()) == {cell: {"trained": 1}}
    with pytest.raises(ValueError, match="holds a study with steps=None, got 100"):
        folder.claim(BenchmarkConfig(env_ids=IDS, steps=100))


def test_whatever_has_tokens_is_written_by_a_language_model() -> None:
    for row in ROWS.values():
        is_text = issubclass(load_env_creator(row.entry_point), EnvParts)  # type: ignore[arg-type]
        assert is_text == (row.family in TEXT_FAMILIES), row.id


def test_what_has_no_place_in_it() -> None:
    assert reason_to_leave_out(ROWS["RLHF-Helpful-v0"]) == (
        "it needs dataset, reference_model, reward_model"
    )
    assert reason_to_leave_out(ROWS["RLHF-CartPole-v0"]) is None
    assert reason_to_leave_out(ROWS["RLHF-CartPole-v0"], algo="a2c") == (
        "it is paid by feedback alone, where `textgym feedback-loop` trains 'ppo', got 'a2c'"
    )
    assert reason_to_leave_out(ROWS["RLHF-CartPole-v0"], n_seeds=0, algo="a2c") is None
    assert reason_to_leave_out(ROWS["TwoState-v0"], algo="a2c") is None


def test_an_extra_that_is_not_installed_leaves_an_environment_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "Box2D", None)
    for name in [name for name in sys.modules if name.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, name)
    for n_seeds in (0, 1):
        reason = reason_to_leave_out(ROWS["RLHF-LunarLander-v0"], n_seeds)
        assert reason is not None and "textgym[box2d]" in reason
    with pytest.raises(ValueError, match=r"'RLHF-LunarLander-v0' cannot be .*textgym\[box2d\]"):
        BenchmarkConfig(env_ids=("RLHF-LunarLander-v0",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"env_ids": ()}, "at least one environment, got none"),
        (
            {"env_ids": ("RLHF-CartPole-v0",), "algo": "a2c"},
            "'RLHF-CartPole-v0' cannot be benchmarked: .* got 'a2c'",
        ),
        ({"env_ids": IDS, "n_seeds": -1}, "n_seeds must be at least 0, got -1"),
        ({"env_ids": IDS, "steps": 0}, "steps must be at least 1, got 0"),
        ({"env_ids": IDS, "eval_prompts": 1}, "eval_prompts must be at least 2, got 1"),
    ],
)
def test_bad_input(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BenchmarkConfig(**given)
