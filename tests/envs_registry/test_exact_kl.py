"""The probe's tables and its exact optimum, checked by listing every response."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry.exact_kl import EOS, ExactKLTables
from textgym.envs_registry.exact_kl_solution import exact_solution, objective

ID = "Probe-ExactKL-v0"


def test_every_response_once() -> None:
    tables = ExactKLTables(0)
    # 1 + 5 + 25 + 125 end in <eos>, 5^4 at the cap.
    assert len(tables.responses) == len(set(tables.responses)) == 156 + 625
    assert len(tables.states) == 156 and len(tables.scores) == 781
    assert tables.scores == ExactKLTables(0).scores != ExactKLTables(1).scores


def test_the_optimum_is_the_closed_form_over_whole_responses() -> None:
    """J* = kl_coef * log E_ref[exp(score / kl_coef)], no induction needed."""
    env = gym.make(ID, kl_coef=0.3, temperature=0.8)
    solution = exact_solution(env)
    tables = ExactKLTables(0)
    mass, mean = 0.0, 0.0
    for response, score in tables.scores.items():
        probability = 1.0
        for position, token in enumerate(response):
            logits = tables.logits[response[:position]] / 0.8
            probability *= np.exp(logits[token]) / np.exp(logits).sum()
        mass += probability * np.exp(score / 0.3)
        mean += probability * score
    assert solution.best == pytest.approx(0.3 * np.log(mass))
    assert solution.reference == pytest.approx(mean)
    assert objective(env, solution.policy) == pytest.approx(solution.best)


def test_no_other_policy_is_better() -> None:
    env = gym.make(ID)
    solution = exact_solution(env)
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = {
            state: (p * np.exp(0.3 * rng.standard_normal(6)))
            for state, p in solution.policy.items()
        }
        other = {state: p / p.sum() for state, p in other.items()}
        assert objective(env, other) < solution.best
    with pytest.raises(ValueError, match="kl_coef above 0"):
        exact_solution(gym.make(ID, kl_coef=0.0))


def test_the_environment_pays_what_the_tables_say() -> None:
    env = gym.make(ID)
    tables = ExactKLTables(0)
    env.reset(seed=0)
    _, first, *_ = env.step(2)
    _, last, _, _, info = env.step(EOS)
    log_softmax = [
        tables.logits[state] - np.log(np.exp(tables.logits[state]).sum()) for state in ((), (2,))
    ]
    assert first == pytest.approx(0.1 * log_softmax[0][2])
    assert last == pytest.approx(0.1 * log_softmax[1][EOS] + tables.scores[(2, EOS)])
    assert info["score"] == pytest.approx(tables.scores[(2, EOS)])
