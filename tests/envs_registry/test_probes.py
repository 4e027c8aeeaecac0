"""The probes' exact solutions, against every response played in the environment itself."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym.envs_registry.probe_solution import ProbeSolution

# Tokens to which responses are cut, so that all of them can be played.
LENGTHS = {
    "Probe-Constant-v0": 4,
    "Probe-Copy-v0": 2,
    "Probe-Parity-v0": 2,
    "Probe-DelayedCredit-v0": 4,
    "Probe-IncreasingNumbers-v0": 3,
    "Probe-ValueOnly-v0": 3,
}
PROBES = sorted(LENGTHS)


def solution_of(env_id: str, **kwargs: Any) -> ProbeSolution:
    return gym.make(env_id, **kwargs).unwrapped.get_wrapper_attr("solution")


def all_returns(env_id: str, length: int, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Play every response to every prompt: (prompts, responses) returns, (responses, T) actions."""
    num_actions = gym.make(env_id).action_space.n
    responses = np.array(list(product(range(num_actions), repeat=length)))
    envs = gym.make_vec(env_id, num_envs=len(responses), max_new_tokens=length, **kwargs)
    found = []
    for prompt_id in range(len(envs.unwrapped.task.prompts)):
        envs.reset(options={"prompt_id": prompt_id})
        steps = [envs.step(responses[:, t]) for t in range(length)]
        assert steps[-1][2].all() and not any(step[2].any() for step in steps[:-1])
        found.append(np.sum([step[1] for step in steps], axis=0))
    return np.array(found), responses


@pytest.mark.parametrize("env_id", PROBES)
def test_values_are_those_of_every_response_played(env_id: str) -> None:
    length = LENGTHS[env_id]
    returns, responses = all_returns(env_id, length, kl_coef=0.3)
    solution = solution_of(env_id, kl_coef=0.3, max_new_tokens=length)
    assert solution.best_return == pytest.approx(returns.max(axis=1).mean())
    assert solution.random_return == pytest.approx(returns.mean())
    paid = -0.3 * np.log(len(solution.actions))
    for prompt, of_prompt in zip(solution.probe.prompts, returns, strict=True):
        assert solution.value(prompt) == pytest.approx(of_prompt.max())
        by_action = of_prompt.reshape(len(solution.actions), -1)
        np.testing.assert_allclose(solution.q_values(prompt), by_action.max(axis=1), atol=1e-6)
        # After one token, what is left to be paid is the return less what that step paid.
        after = [solution.value(prompt, [action]) for action in solution.actions]
        np.testing.assert_allclose(after, by_action.max(axis=1) - paid, atol=1e-6)
        best = [solution.actions.index(s) for s in solution.best_response(prompt)]
        index = np.flatnonzero((responses == best).all(axis=1))
        assert of_prompt[index] == pytest.approx(of_prompt.max())


@pytest.mark.parametrize("env_id", PROBES)
def test_the_best_policy_is_no_better_than_the_best_return(env_id: str) -> None:
    """`mean_return` of a greedy policy, found by its own recursion, is the best return."""
    solution = solution_of(env_id)

    def greedy(state: Any, tokens_left: int) -> np.ndarray:
        best = solution._q(state, tokens_left)
        return np.eye(len(best))[best.argmax()]

    assert solution.mean_return(greedy) == pytest.approx(solution.best_return)
    assert solution.faulty_return <= solution.best_return + 1e-12


def test_returns_worked_out_by_hand() -> None:
    random = {"Constant": 1 / 6, "Copy": 1 / 6, "Parity": 1 / 3, "DelayedCredit": 1 / 6}
    faulty = {"Constant": 1 / 6, "Copy": 1 / 5, "Parity": 1 / 2, "DelayedCredit": 1 / 6}
    for name, expected in random.items():
        solution = solution_of(f"Probe-{name}-v0")
        assert solution.best_return == pytest.approx(1.0)
        assert solution.random_return == pytest.approx(expected)
        assert solution.faulty_return == pytest.approx(faulty[name])
    assert solution_of("Probe-ValueOnly-v0").best_return == pytest.approx(0.5)
    # From n in 0..4, k random numbers climb in C(9 - n, k) of 10^k cases.
    chances = [
        sum(np.prod([9 - n - i for i in range(k)]) / np.prod(range(1, k + 1)) / 10**k for k in ks)
        for n, ks in product(range(5), [range(1, 6)])
    ]
    climbing = solution_of("Probe-IncreasingNumbers-v0")
    assert climbing.random_return == pytest.approx(np.mean(chances) / 5)
    # Two tokens after "8": 9 climbs, and nothing after it; drawing what climbs now finds it.
    two = solution_of("Probe-IncreasingNumbers-v0", max_new_tokens=2)
    assert two.value("7") == 1.0 and two.value("8") == 0.5
    np.testing.assert_allclose(two.q_values("7"), [*[0] * 8, 1.0, 0.5])


def test_greed_costs_what_the_docstring_says() -> None:
    """Uniform among what climbs: the share of steps before 9 is reached, sampled."""
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(20_000):
        last, length = int(rng.integers(5)), 0
        while length < 5 and last < 9:
            last, length = int(rng.integers(last + 1, 10)), length + 1
        scores.append(length / 5)
    found = solution_of("Probe-IncreasingNumbers-v0").faulty_return
    assert found == pytest.approx(np.mean(scores), abs=0.006)
    assert round(found, 2) == 0.51


def test_references_are_best_responses() -> None:
    for env_id in PROBES:
        env = gym.make(env_id)
        prompts, solution = env.unwrapped.get_wrapper_attr("task").prompts, solution_of(env_id)
        for prompt_id in (0, len(prompts) - 1):
            env.reset(options={"prompt_id": prompt_id})
            total, ended = 0.0, False
            words = iter(prompts[prompt_id].references[0].split())
            while not ended:
                _, reward, ended, _, info = env.step(solution.actions.index(next(words)))
                total += float(reward)
            assert total == pytest.approx(solution.value(prompts[prompt_id].text))
            assert info["gold_score"] == info["score"]
            assert info["regret"] == pytest.approx(0.0, abs=1e-9)


def test_regret_is_what_the_response_lacks() -> None:
    env = gym.make("Probe-Parity-v0", kl_coef=0.2)
    for answer, expected in (("1", 1.0), ("0", 0.0)):
        env.reset(options={"prompt": "1 1 0 ="})
        assert env.step(["0", "1", "="].index(answer))[4]["regret"] == pytest.approx(expected)
    env = gym.make("Probe-Parity-v0", missing_eos_score=-1.0)
    env.reset(seed=0)
    assert "regret" not in env.step(0)[4]


def letters_only(ids: np.ndarray, lengths: np.ndarray, prompt_lengths: np.ndarray) -> np.ndarray:
    """Forbid ">" in Probe-Constant-v0."""
    return np.tile(np.arange(6) > 0, (len(ids), 1))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"reward": "length"},
        {"reward": "0.5*gold"},
        {"reward": "teacher"},
        {"missing_eos_score": -9.0},
        {"stop": "c"},
        {"action_mask": f"{__name__}:letters_only"},
    ],
)
def test_nothing_is_said_where_the_optimum_is_not_known(kwargs: dict[str, Any]) -> None:
    env = gym.make("Probe-Constant-v0", **kwargs)
    env.reset(seed=0)
    ended, info = False, {}
    while not ended:
        *_, ended, _, info = env.step(3)
    assert "response" in info and "regret" not in info
    ((name, value),) = kwargs.items()
    with pytest.raises(ValueError, match=re.escape(f"got {name}={value!r}")):
        env.unwrapped.get_wrapper_attr("solution")
    vector: Any = gym.make_vec("Probe-Constant-v0", num_envs=2, **kwargs).unwrapped
    with pytest.raises(ValueError, match="the solution is of the environment's own score"):
        _ = vector.solution


def test_the_same_reward_in_other_words_is_solved() -> None:
    assert solution_of("Probe-Constant-v0", reward="1*gold", stop="").best_return == 1.0


def test_values_of_observations() -> None:
    solution = solution_of("Probe-ValueOnly-v0")
    observations = solution.observations()
    assert len(observations) == 8 * (1 + 3 + 9)
    values = solution.values(observations)
    np.testing.assert_allclose(values, observations[:, 0] / 7)
    assert np.std(values) == pytest.approx(0.327, abs=5e-4)
    env = gym.make("Probe-Copy-v0")
    observation, info = env.reset(seed=3)
    wrong = 1 + (observation[0] % 5)
    after = env.step(wrong)[0]
    copy = solution_of("Probe-Copy-v0")
    np.testing.assert_allclose(copy.values(np.stack([observation, after])), [1.0, 2 / 3])


def test_at_most_twelve_tokens() -> None:
    for env_id in PROBES:
        env = gym.make(env_id)
        assert env.observation_space.shape[0] <= 12 and env.action_space.n <= 12


def test_bad_arguments() -> None:
    fixed = {"dataset": "x.jsonl", "reference_model": "gpt2", "num_prompts": 3, "responder": "m:f"}
    for name, value in fixed.items():
        with pytest.raises(ValueError, match=f"{name} must be None here.*{value!r}"):
            gym.make("Probe-Copy-v0", **{name: value})
    with pytest.raises(ValueError, match="tokenizer must be None or 'symbols:0 1 ='"):
        gym.make("Probe-Parity-v0", tokenizer="symbols:a b")
    with pytest.raises(ValueError, match="action_tokens must be None here: it is fixed, got '1,2'"):
        gym.make("Probe-Copy-v0", action_tokens="1,2")
    with pytest.raises(ValueError, match="at least the 4 of the longest prompt, got 2"):
        gym.make("Probe-Copy-v0", max_prompt_tokens=2)
    with pytest.raises(TypeError, match="did you mean 'max_new_tokens'"):
        gym.make("Probe-Copy-v0", max_new_token=2)
    with pytest.raises(ValueError, match="num_bits must be at most 8, got 9"):
        gym.make("Probe-Parity-v0", num_bits=9)
    with pytest.raises(ValueError, match="at least the 6 of the longest prompt, got 4"):
        gym.make("Probe-Parity-v0", num_bits=5)
    with pytest.raises(ValueError, match="fewer than 1 tokens"):
        solution_of("Probe-Parity-v0").q_values("0 0 0 =", ["1"])
    with pytest.raises(gym.error.UnregisteredEnv, match="Probe-Parity"):
        gym.make("Probe-Paritty-v0")


def test_a_teacher_may_score_a_probe() -> None:
    env = gym.make("Probe-Constant-v0", reward="teacher", teacher="beta=5")
    (episode,) = textgym.rollout(env, None, 1, seed=0)
    assert episode.score is not None and 0 <= episode.gold_score <= 1
