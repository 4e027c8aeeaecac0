"""The probe's tables and its exact optimum, checked by listing every response."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry.exact_kl import EOS, ExactKLTables
from textgym.envs_registry.exact_kl_solution import (
    environments_optimum,
    exact_solution,
    objective,
    regret,
)

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


def test_the_environments_half_alone_has_its_optimum_in_one_response() -> None:
    """The best of score + kl_coef * log pi_ref over all responses, found by listing them."""
    for kl_coef in (0.1, 0.5, 1.0):
        env = gym.make(ID, kl_coef=kl_coef)
        tables, reference = ExactKLTables(0), exact_solution(env).reference_policy
        paid = {
            response: score
            + kl_coef * sum(np.log(reference[response[:i]][a]) for i, a in enumerate(response))
            for response, score in tables.scores.items()
        }
        policy, response = environments_optimum(env), ()
        while response not in tables.scores:
            response = (*response, int(policy[response].argmax()))
        assert response == max(paid, key=lambda r: paid[r])
        best = objective(env, policy, with_agents_half=False)
        assert best == pytest.approx(paid[response])
        assert objective(env, policy) == pytest.approx(best)  # log pi of what is certain is 0


def test_how_far_that_optimum_is_from_the_regularised_one() -> None:
    """Hardly where the score rules, as at the default; beyond the reference where the KL does."""
    found = {}
    for kl_coef in (0.1, 0.3, 0.5, 1.0):
        env = gym.make(ID, kl_coef=kl_coef)
        found[kl_coef] = regret(env, environments_optimum(env))
        assert regret(env, exact_solution(env).policy) == pytest.approx(0.0)
        assert regret(env, exact_solution(env).reference_policy) == pytest.approx(1.0)
    assert found == pytest.approx({0.1: 0.0003, 0.3: 0.109, 0.5: 0.881, 1.0: 4.445}, abs=1e-3)
    # With a large weight the likeliest good response is silence.
    assert environments_optimum(gym.make(ID, kl_coef=1.0))[()].argmax() == EOS


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
