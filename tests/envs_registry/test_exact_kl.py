"""The probe's tables and its exact optimum, checked by listing every response."""

from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry.exact_kl import EOS, ExactKLTables
from textgym.envs_registry.exact_kl_solution import (
    environments_optimum,
    exact_solution,
    objective,
    relative_regret,
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
    for kl_coef in (0.1, 0.25, 0.3, 0.5, 1.0):
        env = gym.make(ID, kl_coef=kl_coef)
        found[kl_coef] = relative_regret(env, environments_optimum(env))
        assert relative_regret(env, exact_solution(env).policy) == pytest.approx(0.0)
        assert relative_regret(env, exact_solution(env).reference_policy) == pytest.approx(1.0)
    known = {0.1: 0.0003, 0.25: 0.046, 0.3: 0.109, 0.5: 0.881, 1.0: 4.445}
    assert found == pytest.approx(known, abs=1e-3)
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


def test_values_and_q_values_hang_together() -> None:
    """V* = kl_coef log sum pi_ref exp(Q* / kl_coef), and pi* is its tilted reference."""
    env = gym.make(ID, kl_coef=0.3)
    solution = env.unwrapped.get_wrapper_attr("solution")
    assert solution.values[()] == solution.best
    for state in ((), (2,), (1, 1, 3)):
        reference, q = solution.reference_policy[state], solution.q_values[state]
        assert q[1] == solution.values[(*state, 1)]
        mass = reference @ np.exp(q / 0.3)
        assert solution.values[state] == pytest.approx(0.3 * np.log(mass))
        np.testing.assert_allclose(solution.policy[state], reference * np.exp(q / 0.3) / mass)
    vector: Any = gym.make_vec(ID, num_envs=2).unwrapped
    assert vector.solution.best == pytest.approx(exact_solution(gym.make(ID)).best)


@pytest.mark.parametrize("timing", ["step", "deferred"])
def test_regret_in_info_is_the_distance_from_the_best(timing: str) -> None:
    """Every response of one policy, weighed by its chance: regret + kl_coef log pi = J* - J."""
    kl_coef, tables = 0.3, ExactKLTables(0)
    envs: Any = gym.make_vec(ID, num_envs=len(tables.responses), reward_timing=timing)
    envs.unwrapped.set_kl_coef(kl_coef)
    rng = np.random.default_rng(0)
    policy = {state: rng.dirichlet(np.ones(6)) for state in tables.states}
    envs.reset(seed=0)
    found = np.full(len(tables.responses), np.nan)
    for step in range(4):
        actions = [r[step] if step < len(r) else 0 for r in tables.responses]
        infos = envs.step(actions)[4]
        for row, response in enumerate(tables.responses):
            if len(response) == step + 1:
                found[row] = infos["final_info"]["regret"][row]
    mean = 0.0
    for response, regret_of_it in zip(tables.responses, found, strict=True):
        log_pi = sum(np.log(policy[response[:i]][a]) for i, a in enumerate(response))
        mean += np.exp(log_pi) * (regret_of_it + kl_coef * log_pi)
    env = gym.make(ID, kl_coef=kl_coef)
    assert mean == pytest.approx(exact_solution(env).best - objective(env, policy))


def test_regret_without_a_kl_term_and_where_it_is_not_known() -> None:
    env, tables = gym.make(ID, kl_coef=0.0), ExactKLTables(0)
    env.reset(seed=0)
    expected = max(tables.scores.values()) - tables.scores[(EOS,)]
    assert env.step(EOS)[4]["regret"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"min_new_tokens": 2},
        {"action_tokens": "1-5"},
        {"action_tokens": "1-5,0"},
        {"missing_eos_score": -9.0},
    ],
)
def test_nothing_is_said_where_the_optimum_is_not_known(kwargs: dict[str, Any]) -> None:
    env = gym.make(ID, **kwargs)
    env.reset(seed=0)
    ended, info = False, {}
    while not ended:
        *_, ended, _, info = env.step(1)
    assert "response" in info and "regret" not in info
    ((name, value),) = kwargs.items()
    said = re.escape(f"got {name}={value!r}")
    with pytest.raises(ValueError, match=said):
        env.unwrapped.get_wrapper_attr("solution")
    for asked in (exact_solution, environments_optimum):
        with pytest.raises(ValueError, match=said):
            asked(env)
    with pytest.raises(ValueError, match=said):
        objective(env, exact_solution(gym.make(ID)).policy)


def test_all_actions_by_their_numbers_are_all_actions() -> None:
    solution = exact_solution(gym.make(ID, action_tokens="0-5"))
    assert solution.best == exact_solution(gym.make(ID)).best


def test_what_would_do_nothing_is_refused() -> None:
    fixed = {
        "num_prompts": 3,
        "dataset": "foo.jsonl",
        "dataset_columns": "prompt=text",
        "prompt_template": "{prompt}",
        "reference_model": "gpt2",
        "reward_model": "foo",
        "token_aggregate": "mean",
        "responder": "module:function",
        "stop": "a",
    }
    for name, value in fixed.items():
        with pytest.raises(ValueError, match=f"{name} must be None here: it is fixed.*{value!r}"):
            gym.make(ID, **{name: value})
    with pytest.raises(ValueError, match="tokenizer must be None or 'symbols:.*got 'gpt2'"):
        gym.make(ID, tokenizer="gpt2")
    for reward in ("gold", "length", "0.5*model"):
        with pytest.raises(ValueError, match="reward must be 'model', the table"):
            gym.make(ID, reward=reward)
    with pytest.raises(ValueError, match="teacher='beta=2' needs reward='teacher'"):
        gym.make(ID, teacher="beta=2")
    with pytest.raises(ValueError, match="reward_level='token' needs a reward of every token"):
        gym.make(ID, reward_level="token")
