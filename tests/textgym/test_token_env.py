"""The single environment: ends, options, branching, pickling, rendering, bad input."""

from __future__ import annotations

import copy
import pickle
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import textgym  # noqa: F401
from textgym.envs_registry.exact_kl import ExactKLEnv
from textgym.token_env import TokenEnv

ID = "Probe-ExactKL-v0"
EOS = 5


def test_stepping_needs_an_episode_that_goes_on() -> None:
    env = ExactKLEnv()
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(1)
    env.reset(seed=0)
    assert env.step(EOS)[2]
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(1)


def test_actions_outside_the_space() -> None:
    env = ExactKLEnv()
    env.reset(seed=0)
    for bad in (6, -1):
        with pytest.raises(ValueError, match=rf"\[0, 6\), got {bad}"):
            env.step(bad)
    for bad in (1.0, "1", [1, 2], None):
        with pytest.raises(ValueError, match="action must be one integer"):
            env.step(bad)  # type: ignore[arg-type]
    for good in (1, np.int32(1), np.array([1])):
        env.step(good)  # type: ignore[arg-type]


def test_plain_python_numbers_in_results_and_infos() -> None:
    env = ExactKLEnv()
    _, info = env.reset(seed=0)
    assert type(info["prompt_length"]) is int and type(info["prompt_id"]) is int
    _, reward, terminated, truncated, info = env.step(EOS)
    assert [type(v) for v in (reward, terminated, truncated)] == [float, bool, bool]
    assert type(info["score"]) is float and type(info["ref_log_prob"]) is float
    assert info["response_ids"] == (EOS,) and type(info["response_ids"][0]) is int
    assert type(info["reward_terms"]["kl"]) is float


def test_branching_replays_exactly() -> None:
    env = ExactKLEnv()
    env.reset(seed=0)
    env.step(1)
    state = env.get_state()
    one = [env.step(2), env.step(EOS)]
    assert env.set_state(state).tolist() == [0, 1, 6, 6, 6]
    other = [env.step(2), env.step(EOS)]
    for a, b in zip(one, other, strict=True):
        assert a[0].tolist() == b[0].tolist() and a[1:] == b[1:]
    env.set_state(state)  # a state may be used again and again
    assert env.step(3)[0].tolist() == [0, 1, 3, 6, 6]
    draws = env.np_random.random()
    env.set_state(state)
    assert env.np_random.random() == draws


def test_only_the_constructors_arguments_are_pickled() -> None:
    env = gym.make(ID, table_seed=3)
    env.reset(seed=0)
    assert len(pickle.dumps(env.unwrapped)) < 2_000
    again = pickle.loads(pickle.dumps(env))
    assert again.unwrapped.config == env.unwrapped.config and again.spec == env.spec
    assert copy.deepcopy(env).reset(seed=0)[0].tolist() == env.reset(seed=0)[0].tolist()


def test_vector_only_arguments() -> None:
    with pytest.raises(ValueError, match="gym.make_vec"):
        ExactKLEnv(group_size=2)
    with pytest.raises(ValueError, match="gym.make_vec"):
        ExactKLEnv(reward_timing="deferred")
    with pytest.raises(TypeError, match="with a task_builder"):
        TokenEnv()


def test_coefficients_are_set_and_read_on_the_unwrapped_environment() -> None:
    env = ExactKLEnv(kl_coef=0.2)
    env.set_kl_coef(0.5)
    env.set_temperature(2.0)
    assert (env.kl_coef, env.temperature) == (0.5, 2.0)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(1)
    assert reward == pytest.approx(0.5 * info["ref_log_prob"])
    for call, bad in ((env.set_kl_coef, -1), (env.set_temperature, 0)):
        with pytest.raises(ValueError, match=f"got {bad}"):
            call(bad)


def test_masks() -> None:
    env = ExactKLEnv(min_new_tokens=1, info_action_mask=True)
    _, info = env.reset(seed=0)
    assert info["action_mask"].dtype == np.int8 and info["action_mask"].tolist() == [1] * 5 + [0]
    assert env.action_masks().tolist() == [True] * 5 + [False]
    assert env.action_space.sample(info["action_mask"]) < EOS
    info = env.step(1)[4]
    assert env.action_masks().all() and info["action_mask"].all()


def test_render_modes(capsys: pytest.CaptureFixture[str]) -> None:
    env = ExactKLEnv(render_mode="ansi")
    assert env.render() == ""
    env.reset(seed=0)
    env.step(1)
    env.step(EOS)
    frame = env.render()
    assert frame is not None and "<bos>" in frame and "score" in frame
    human = ExactKLEnv(render_mode="human")
    human.reset(seed=0)
    human.step(1)
    assert capsys.readouterr().out.count("<bos>") == 2
    with pytest.raises(ValueError, match="got 'rgb_array'"):
        ExactKLEnv(render_mode="rgb_array").render()


def test_unknown_names_of_the_package() -> None:
    with pytest.raises(AttributeError, match="register_env"):
        textgym.register_env  # noqa: B018
    assert callable(textgym.register_text_env) and "textgym" in sys.modules
