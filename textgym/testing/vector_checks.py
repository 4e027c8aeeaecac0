"""Rows side by side are the single environment, in every autoreset mode and reward timing."""

from __future__ import annotations

from typing import Any

import numpy as np

from textgym.testing.case import AUTORESET_MODES, TOLERANCE, Case, assert_same, random_actions

_MOST_STEPS = 400  # of waiting for an episode to end


def check_vector_equals_single(case: Case) -> None:
    """Check the vector environment against `SyncVectorEnv` of single ones, infos included."""
    if not case.has_own_vector:
        return  # it is that very class
    for mode in AUTORESET_MODES:
        envs, sync = case.make_vec(mode), case.make_sync(mode)
        draw = random_actions(envs, case.seed)
        assert_same(envs.reset(seed=case.seed), sync.reset(seed=case.seed), f"{mode}: reset")
        for step in range(case.num_steps):
            action = draw()
            one, other = envs.step(action), sync.step(action)
            assert_same(one, other, f"{mode}: step {step}")
            ended = np.asarray(one[2]) | np.asarray(one[3])
            if mode == "Disabled" and ended.any():
                begun = [e.reset(options={"reset_mask": ended.copy()}) for e in (envs, sync)]
                assert_same(begun[0], begun[1], f"{mode}: partial reset at step {step}")


def check_autoreset(case: Case) -> None:
    """Check the three modes against what a single row does: where its end and its start appear."""
    for mode in AUTORESET_MODES:
        single, envs = case.make(), case.make_vec(mode, num_envs=1)
        declared = envs.metadata["autoreset_mode"]
        assert getattr(declared, "value", declared) == mode, (
            f"made with autoreset_mode={mode!r}, its metadata say {declared!r}"
        )
        draw = random_actions(single, case.seed)
        first = single.reset(seed=case.seed)[0]
        assert_same(_row(envs.reset(seed=case.seed)[0]), first, f"{mode}: reset")
        for _ in range(_MOST_STEPS):
            action = draw()
            last, _, terminated, truncated, _ = single.step(action)
            shown, _, *_, info = envs.step(np.array([action]))
            if terminated or truncated:
                _check_end(mode, envs, single, shown, info, last)
                break
        else:
            raise AssertionError(f"no episode ended within {_MOST_STEPS} random steps")


def _check_end(mode: str, envs: Any, single: Any, shown: Any, info: dict, last: Any) -> None:
    begun = single.reset()[0]
    if mode == "SameStep":
        assert "final_obs" in info, f"{mode}: the ended episode's observation is lost: {list(info)}"
        assert_same(_row(info["final_obs"]), last, f"{mode}: final_obs")
        assert_same(_row(shown), begun, f"{mode}: the next episode")
        return
    assert "final_obs" not in info, f"{mode}: final_obs belongs to SameStep"
    assert_same(_row(shown), last, f"{mode}: the last observation")
    if mode == "NextStep":
        shown, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
        is_quiet = not (rewards.any() or terminated.any() or truncated.any())
        assert is_quiet, f"{mode}: the step that resets paid {rewards} or ended something"
    else:
        shown, _ = envs.reset(options={"reset_mask": np.array([True])})
    assert_same(_row(shown), begun, f"{mode}: the next episode")


def _row(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {key: _row(value) for key, value in batch.items()}
    return batch[0]


def check_deferred(case: Case) -> None:
    """Check that settled rewards are those that the steps would have paid.

    What has no rewards to settle passes, unless it is of tokens: those must.
    """
    if case.family != "token" and not hasattr(case.make_vec().unwrapped, "settle_rewards"):
        return
    paying: Any = case.make_vec()
    deferring: Any = case.make_vec(reward_timing="deferred")
    draw = random_actions(paying, case.seed)
    paying.reset(seed=case.seed)
    deferring.reset(seed=case.seed)
    paid, settled = [], []
    for step in range(case.num_steps):
        action = draw()
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
