"""The table of a benchmark, from numbers worked by hand."""

from __future__ import annotations

import pytest

from textgym.agents.benchmark.plan import BenchmarkConfig, Cell
from textgym.agents.benchmark.results import as_plain, is_solved, lines, table
from textgym.intervals import Estimate

ENV = "Probe-Copy-v0"
CONFIG = BenchmarkConfig(env_ids=(ENV,), n_seeds=3)


def estimate(mean: float, half: float = 0.0) -> dict[str, float | int]:
    return Estimate(mean=mean, low=mean - half, high=mean + half, count=10).as_dict()


KNOWN = {
    "metric": "gold_score",
    "random": estimate(0.2, 0.05),
    "reference": None,
    "human": estimate(0.8, 0.1),
    "best_known": estimate(1.0),
}


def found(*means: float) -> dict[Cell, dict]:
    runs = {
        Cell(env_id=ENV, algo="ppo", seed=seed): {"trained": estimate(mean, 0.01)}
        for seed, mean in enumerate(means)
    }
    return {Cell(env_id=ENV): KNOWN, **runs}


def test_seeds_are_what_the_interval_is_of() -> None:
    (line,) = lines(CONFIG, found(0.9, 1.0, 0.98))
    assert line.trained is not None and line.trained.count == 3
    assert line.trained.mean == pytest.approx(0.96)
    # 1.96 times the standard error of (0.9, 1.0, 0.98): std .05292, by the root of 3.
    assert line.trained.half_width == pytest.approx(1.96 * 0.05292 / 3**0.5, rel=1e-3)
    assert line.threshold == 0.95 and line.num_solved == 2


def test_one_run_has_its_own_interval_and_none_leaves_the_cell_empty() -> None:
    (one,), (none,) = lines(CONFIG, found(0.9)), lines(CONFIG, found())
    assert one.trained is not None and one.trained.half_width == pytest.approx(0.01)
    assert none.trained is None and none.num_solved is None
    assert as_plain([none])[0]["trained"] is None


def test_where_the_optimum_is_exact_runs_are_solved_by_it() -> None:
    env_id = "Probe-ExactKL-v0"
    config = BenchmarkConfig(env_ids=(env_id,), n_seeds=2)
    cells = {
        Cell(env_id=env_id, algo="ppo", seed=seed): {
            "trained": estimate(0.5),
            "exact": {"measure": "relative regret", "found": found, "is_solved": found <= 0.01},
        }
        for seed, found in enumerate((0.002, 0.3))
    }
    (line,) = lines(config, {Cell(env_id=env_id): KNOWN, **cells})
    assert line.threshold is None and line.num_solved == 1
    assert table([line]).endswith("| 1/2, relative regret at most 0.300 |")
    assert as_plain([line])[0]["exact"]["0"]["found"] == 0.002


def test_a_task_is_solved_by_more_gold_than_the_references() -> None:
    run, reference = {"trained": estimate(0.6, 0.05)}, Estimate(**estimate(0.5, 0.04))
    assert is_solved("RLHF-Summarize-v0", run, reference)
    assert not is_solved("RLHF-Summarize-v0", run, Estimate(**estimate(0.5, 0.06)))  # they touch
    assert is_solved("RLHF-Summarize-v0", run, None) is None
    assert is_solved("RLHF-CartPole-v0", {"trained": estimate(475.0)}, None)  # its threshold
    assert is_solved("TwoState-v0", run, reference) is None  # its documentation says: by regret
    regret = {"measure": "mean regret", "found": 0.021, "is_solved": False}
    assert is_solved("TwoState-v0", {**run, "exact": regret}, None) is False


def test_a_maze_is_solved_near_the_best_return() -> None:
    # Random actions get -2.76 or so and the best 0.5: 95 % of the way are 0.34.
    assert is_solved("TextMaze-v0", {"trained": estimate(0.49)}, None) is True
    assert is_solved("TextMaze-v0", {"trained": estimate(0.2, 0.5)}, None) is False


def test_the_table() -> None:
    text = table(lines(CONFIG, found(0.97, 0.97, 0.97)))
    assert text.splitlines()[0].startswith(
        "| environment | metric | random | reference | human reference |"
    )
    assert text.splitlines()[2] == (
        "| Probe-Copy-v0 | gold_score | 0.200 [0.150, 0.250] |  | 0.800 [0.700, 0.900] | "
        "1.000 [1.000, 1.000] | 0.970 [0.970, 0.970] | 3/3 |"
    )
