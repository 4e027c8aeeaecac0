"""Every vector wrapper is its single wrapper N times, in the three autoreset modes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from tests.textgym.wrappers.conftest import SAY_A
from tests.two_turns import ENV_ID as TWO_TURNS
from textgym import wrappers
from textgym.testing.case import AUTORESET_MODES, Case, assert_same, random_actions

NAMES = ("OneHotObservation", "PromptLengthObservation", "TextObservation") + (
    "ActionMaskObservation",
    "PotentialShaping",
    "RecordEpisodes",
)


def test_every_vector_wrapper_is_here() -> None:
    found = {name.removeprefix("Vector") for name in wrappers.__all__ if name.startswith("Vector")}
    assert found == set(NAMES)


@pytest.mark.parametrize("name", [*NAMES, "MessageAction"])
def test_specs_know_the_wrapper(name: str, tmp_path: Path) -> None:
    kwargs: dict[str, Any] = {
        "RecordEpisodes": {"path": str(tmp_path / "x.jsonl")},
        "MessageAction": {"form": "tokens"},
        "ActionMaskObservation": {"keys": ("a", "b")},
        "PotentialShaping": {"kind": "sum"},
    }.get(name, {})
    env = getattr(wrappers, name)(gym.make("Probe-Copy-v0"), **kwargs)
    again = EnvSpec.from_json(env.spec.to_json()).make()
    assert type(again) is type(env) and again.action_space == env.action_space
    assert again.observation_space == env.observation_space


@pytest.mark.parametrize("mode", AUTORESET_MODES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("env_id", "kwargs"), [(SAY_A, {"min_new_tokens": 1}), (TWO_TURNS, {"info_action_mask": True})]
)
def test_rows_are_single_ones(
    name: str, mode: str, env_id: str, kwargs: dict[str, Any], tmp_path: Path
) -> None:
    single: Any = getattr(wrappers, name)
    vector: Any = getattr(wrappers, f"Vector{name}")
    if name == "RecordEpisodes":
        single = partial(single, path=tmp_path / "single.jsonl", append=True)
        vector = partial(vector, path=tmp_path / "vector.jsonl")
    case = Case(id=env_id, kwargs=kwargs)
    envs, sync = vector(case.make_vec(mode)), case.make_sync(mode, wrappers=[single])
    draw = random_actions(envs, 0)
    assert_same(envs.reset(seed=0), sync.reset(seed=0), f"{mode}: reset")
    for step in range(30):
        actions = draw()
        one, other = envs.step(actions), sync.step(actions)
        assert_same(one, other, f"{mode}: step {step}")
        ended = np.asarray(one[2])
        if mode == "Disabled" and ended.any():
            begun = [e.reset(options={"reset_mask": ended.copy()}) for e in (envs, sync)]
            assert_same(begun[0], begun[1], f"{mode}: partial reset at step {step}")
    assert isinstance(envs, gym.vector.VectorEnv)
