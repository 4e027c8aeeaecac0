"""Exact measures, against policies of which they are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th

import textgym  # noqa: F401
from textgym.agents import PPO
from textgym.agents.benchmark.exact import (
    LIMITS,
    RELATIVE_REGRET,
    VALUE_ERROR,
    Exact,
    exact_measure,
    known_objectives,
    policy_table,
    value_error,
)
from textgym.agents.run_defaults import default_preset
from textgym.envs_registry.exact_kl_solution import exact_solution, relative_regret


class Knowing:
    """A policy of Probe-ExactKL-v0 made of a table, which says a state's probabilities."""

    device = th.device("cpu")

    def __init__(self, table: Any) -> None:
        """Keep the table."""
        self.table = table

    def get_distribution(self, observations: th.Tensor) -> Any:
        rows = [tuple(i for i in row[1:] if i != 6) for row in observations.tolist()]
        probs = th.as_tensor(np.array([self.table[row] for row in rows]))
        return SimpleNamespace(distribution=SimpleNamespace(probs=probs))


def test_regret_is_zero_at_the_optimum_and_one_at_the_reference() -> None:
    solution = exact_solution(gym.make("Probe-ExactKL-v0"))
    for table, expected in ((solution.policy, 0.0), (solution.reference_policy, 1.0)):
        found = exact_measure("Probe-ExactKL-v0", Knowing(table))  # type: ignore[arg-type]
        assert found is not None and found.measure == RELATIVE_REGRET
        assert found.found == pytest.approx(expected, abs=1e-9)
        assert found.is_solved == (expected == 0.0)
        best, reference = solution.best, solution.reference
        assert found.objective == pytest.approx(best - expected * (best - reference))


def test_what_is_known_exactly_without_training() -> None:
    env = gym.make("Probe-ExactKL-v0")
    solution, known = exact_solution(env), known_objectives("Probe-ExactKL-v0")
    assert known["best_known"] == pytest.approx(solution.best)
    assert known["reference"] == pytest.approx(solution.reference)
    assert known["random"] < known["best_known"]


def test_nothing_is_made_where_nothing_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gym, "make", None)
    assert known_objectives("Probe-Copy-v0") == known_objectives("RLHF-Summarize-v0") == {}


def test_a_policy_is_asked_in_every_state() -> None:
    env = gym.make_vec("Probe-ExactKL-v0", num_envs=2)
    agent = PPO("TransformerPolicy", env, preset=default_preset("Probe-ExactKL-v0"), device="cpu")
    table = policy_table(env, agent.policy)
    assert set(table) == set(exact_solution(env).policy)
    assert all(row.sum() == pytest.approx(1.0, abs=1e-5) for row in table.values())
    env.unwrapped.set_kl_coef(0.1)  # begins at 1, see `kl_start`
    found = exact_measure("Probe-ExactKL-v0", agent.policy)
    assert found is not None and found.found == pytest.approx(relative_regret(env, table))


def test_value_error_of_the_critic_that_says_the_mean_everywhere() -> None:
    env = gym.make_vec("Probe-ValueOnly-v0", num_envs=1)
    zero = SimpleNamespace(
        device=th.device("cpu"),
        predict_values=lambda observations: th.full((len(observations),), 0.5),
    )
    assert value_error(env, zero) == pytest.approx(0.327, abs=1e-3)  # type: ignore[arg-type]


def test_limits_and_what_has_none() -> None:
    assert Exact(measure=VALUE_ERROR, found=0.05).is_solved and LIMITS[VALUE_ERROR] == 0.05
    assert not Exact(measure=RELATIVE_REGRET, found=0.011).is_solved
    assert exact_measure("Probe-Copy-v0", Knowing({})) is None  # type: ignore[arg-type]
