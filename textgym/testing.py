"""A battery of checks for authors of text environments: `check_text_env("MyTask-v0")`."""

from __future__ import annotations

import math
import pickle
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env as check_gymnasium_env
from gymnasium.utils.env_checker import data_equivalence
from stable_baselines3.common.env_checker import check_env as check_sb3_env

from textgym.info_keys import expected_reset_keys, expected_step_keys

TOLERANCE = 1e-4


def check_text_env(
    id: str, *, num_envs: int = 3, num_steps: int = 60, seed: int = 0, **kwargs: Any
) -> None:
    """Check that an environment keeps the contract of docs/environment.md.

    Gymnasium's and SB3's `check_env` without warnings; same seed, same episode; `spec.to_json()`
    and pickling; the vector environment equals `SyncVectorEnv` of single ones; deferred rewards
    equal stepwise ones; infos hold the documented keys; reward terms sum to the reward.

    Args:
        id: A registered id.
        num_envs: Rows of the vector environments.
        num_steps: Random steps of each comparison.
        seed: Of prompts and actions.
        **kwargs: For `gym.make`.

    Raises:
        AssertionError: Something does not hold; the message says what.
    """
    check_with_libraries(id, **kwargs)
    check_seeding(id, seed=seed, **kwargs)
    check_serialisation(id, seed=seed, **kwargs)
    check_infos_and_terms(id, num_steps=num_steps, seed=seed, **kwargs)
    for mode in ("SameStep", "NextStep", "Disabled"):
        check_vector_equals_sync(id, mode, num_envs, num_steps, seed, **kwargs)
    check_deferred_equals_step(id, num_envs, num_steps, seed, **kwargs)


class MaskedDiscrete(spaces.Discrete):
    """A `Discrete` that samples allowed actions only; the libraries' checks know no masks."""

    def __init__(self, env: Any) -> None:
        """Sample for `env`, an unwrapped single text environment."""
        super().__init__(len(env.action_tokens))
        self._env = env

    def sample(self, mask: Any = None, probability: Any = None) -> np.int64:
        """Return an allowed action."""
        return super().sample(mask=self._env.action_masks().astype(np.int8))


def check_with_libraries(id: str, **kwargs: Any) -> None:
    """Run Gymnasium's and SB3's `check_env`; a warning counts as a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(id, disable_env_checker=True, **kwargs).unwrapped
        if env.get_wrapper_attr("mask_fn") is not None:
            env.action_space = MaskedDiscrete(env)
        check_gymnasium_env(env)
        check_sb3_env(env)


def check_seeding(id: str, *, seed: int = 0, num_steps: int = 30, **kwargs: Any) -> None:
    """Check that the same seed and actions give the same episode."""
    first, second = gym.make(id, **kwargs), gym.make(id, **kwargs)
    actions = _actions(first, seed)
    assert data_equivalence(first.reset(seed=seed), second.reset(seed=seed)), "resets differ"
    for _ in range(num_steps):
        action = actions()
        one, other = first.step(action), second.step(action)
        assert data_equivalence(one, other), f"the same seed gave {one} and {other}"
        if one[2] or one[3]:
            assert data_equivalence(first.reset(), second.reset()), "later resets differ"


def check_serialisation(id: str, *, seed: int = 0, **kwargs: Any) -> None:
    """Check that the spec survives JSON and the environment pickling."""
    env = gym.make(id, **kwargs)
    assert env.spec is not None, "the environment has no spec"
    again = EnvSpec.from_json(env.spec.to_json())
    assert again == env.spec, f"the spec came back from JSON as {again}"
    copied = pickle.loads(pickle.dumps(env))
    assert data_equivalence(env.reset(seed=seed), copied.reset(seed=seed)), "the copy differs"
    envs = gym.make_vec(id, num_envs=2, **kwargs)
    copied_envs = pickle.loads(pickle.dumps(envs))
    assert data_equivalence(envs.reset(seed=seed), copied_envs.reset(seed=seed)), (
        "the pickled vector environment differs"
    )


def check_infos_and_terms(id: str, *, num_steps: int, seed: int, **kwargs: Any) -> None:
    """Check the keys of infos and that the terms of a final reward sum to it."""
    env = gym.make(id, **kwargs)
    core: Any = env.unwrapped
    actions = _actions(env, seed)
    _, info = env.reset(seed=seed)
    assert info.keys() == expected_reset_keys(core), f"reset gave the keys {sorted(info)}"
    for _ in range(num_steps):
        _, reward, terminated, _, info = env.step(actions())
        expected = expected_step_keys(core, is_end=terminated)
        assert info.keys() == expected, f"a step gave {sorted(info)}, expected {sorted(expected)}"
        if terminated:
            total = sum(info["reward_terms"].values())
            assert math.isclose(total, reward, abs_tol=TOLERANCE), (
                f"the terms {info['reward_terms']} do not sum to the reward {reward}"
            )
            env.reset()


def check_vector_equals_sync(
    id: str, mode: str, num_envs: int, num_steps: int, seed: int, **kwargs: Any
) -> None:
    """Check the vector environment against `SyncVectorEnv` of single ones, infos included."""
    envs = gym.make_vec(id, num_envs=num_envs, autoreset_mode=mode, **kwargs)
    sync = gym.make_vec(
        id,
        num_envs=num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": envs.metadata["autoreset_mode"]},
        **kwargs,
    )
    actions = _actions(envs, seed)
    _assert_same(envs.reset(seed=seed), sync.reset(seed=seed), f"{mode}: reset")
    for step in range(num_steps):
        action = actions()
        one, other = envs.step(action), sync.step(action)
        _assert_same(one, other, f"{mode}: step {step}")
        ended = one[2] | one[3]
        if mode == "Disabled" and ended.any():
            pair = [e.reset(options={"reset_mask": ended.copy()}) for e in (envs, sync)]
            _assert_same(pair[0], pair[1], f"{mode}: partial reset at step {step}")


def check_deferred_equals_step(
    id: str, num_envs: int, num_steps: int, seed: int, **kwargs: Any
) -> None:
    """Check that settled rewards are those that the steps would have paid."""
    paying = gym.make_vec(id, num_envs=num_envs, **kwargs)
    deferring: Any = gym.make_vec(id, num_envs=num_envs, reward_timing="deferred", **kwargs)
    actions = _actions(paying, seed)
    paying.reset(seed=seed)
    deferring.reset(seed=seed)
    paid, settled = [], []
    for step in range(num_steps):
        action = actions()
        one, other = paying.step(action), deferring.step(action)
        assert np.array_equal(one[0], other[0]), f"observations of step {step} differ"
        assert np.array_equal(one[2], other[2]), f"ends of step {step} differ"
        assert not np.any(other[1]), f"step {step} paid {other[1]} while rewards are withheld"
        paid.append(one[1])
        if step % 7 == 6:  # settles in the middle of episodes too
            settled.append(deferring.settle_rewards())
    settled.append(deferring.settle_rewards())
    difference = np.abs(np.stack(paid) - np.concatenate(settled)).max()
    assert difference <= TOLERANCE, f"settled rewards differ from the steps' by {difference}"


def _assert_same(one: Any, other: Any, where: str) -> None:
    assert _equivalent(one, other), f"{where}: the vector environment gave {one}, Sync {other}"


def _equivalent(one: Any, other: Any) -> bool:
    """Compare nested results: floats to the tolerance, all else exactly, dtypes included."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equivalent(one[k], other[k]) for k in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_equivalent, one, other))
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype == object:
            return all(map(_equivalent, one, other))
        if np.issubdtype(one.dtype, np.floating):
            return bool(np.allclose(one, other, rtol=0.0, atol=TOLERANCE))
        return bool(np.array_equal(one, other))
    return bool(one == other)


def _actions(env: Any, seed: int) -> Any:
    """Return a function that draws allowed actions for the environment's current states."""
    generator = np.random.default_rng(seed)

    def draw() -> Any:
        masks = np.atleast_2d(env.unwrapped.action_masks())
        drawn = [int(generator.choice(np.flatnonzero(mask))) for mask in masks]
        return np.array(drawn) if isinstance(env, gym.vector.VectorEnv) else drawn[0]

    return draw
