"""The adapter from Gymnasium's vector environments to SB3's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from textgym.agents import TextVecEnv, as_vec_env
from textgym.token_env import TokenEnv

MakeEnv = Callable[..., Any]
PROBE = "Probe-ExactKL-v0"
EOS = 5


def sync(num_envs: int) -> SyncVectorEnv:
    return SyncVectorEnv(
        [lambda: gym.make(PROBE) for _ in range(num_envs)], autoreset_mode=AutoresetMode.SAME_STEP
    )


def native(num_envs: int) -> gym.vector.VectorEnv:
    return gym.make_vec(PROBE, num_envs=num_envs)


@pytest.mark.parametrize("make", [native, sync])
def test_infos_as_sb3_wants_them(make: Callable[[int], Any]) -> None:
    env = TextVecEnv(make(3))
    env.seed(0)
    obs = env.reset()
    assert obs.shape == (3, 5) and env.reset_infos[2]["prompt"] == "<bos>"
    obs, rewards, dones, infos = env.step(np.array([1, EOS, 2]))
    assert rewards.dtype == np.float32 and dones.tolist() == [False, True, False]
    assert set(infos[0]) == {"prompt_length", "ref_log_prob"}
    done = infos[1]
    assert done["terminal_observation"].tolist() == [0, EOS, 6, 6, 6]
    assert obs[1].tolist() == [0, 6, 6, 6, 6]
    assert done["TimeLimit.truncated"] is False
    assert done["finish_reason"] == "eos" and isinstance(done["score"], float)
    assert done["episode"]["l"] == 1 and done["episode"]["r"] == pytest.approx(rewards[1])
    terms = done["reward_terms"]
    assert sum(terms.values()) == pytest.approx(float(rewards[1]), abs=1e-5)
    assert "score" not in env.reset_infos[1] and env.reset_infos[1]["prompt_id"] == 0
    _, more, _, infos = env.step(np.array([EOS, 1, EOS]))
    assert infos[0]["episode"]["r"] == pytest.approx(rewards[0] + more[0], abs=1e-6)


def test_native_equals_sync_and_dummy() -> None:
    adapters = [
        TextVecEnv(native(3)),
        TextVecEnv(sync(3)),
        DummyVecEnv([lambda: gym.make(PROBE)] * 3),
    ]
    rng = np.random.default_rng(0)
    for env in adapters:
        env.seed(7)
    first = [env.reset() for env in adapters]
    assert all(np.array_equal(first[0], obs) for obs in first)
    for _ in range(12):
        actions = rng.integers(0, 6, 3)
        found = [env.step(actions) for env in adapters]
        for obs, rewards, dones, infos in found[1:]:
            assert np.array_equal(obs, found[0][0]) and np.array_equal(dones, found[0][2])
            np.testing.assert_allclose(rewards, found[0][1], rtol=1e-5)
            for ours, theirs in zip(found[0][3], infos, strict=True):
                assert ours.keys() >= theirs.keys() - {"TimeLimit.truncated"}


def test_attributes_and_methods() -> None:
    for env in (TextVecEnv(native(3)), TextVecEnv(sync(3))):
        env.reset()
        assert env.get_attr("kl_coef") == [0.1] * 3
        assert env.get_attr("kl_coef", indices=[1]) == [0.1]
        env.env_method("set_kl_coef", 0.3)
        assert env.get_attr("kl_coef") == [0.3] * 3
        masks = env.env_method("action_masks")
        assert len(masks) == 3 and np.shape(masks[0]) == (6,)
        assert env.env_is_wrapped(Monitor) == [True] * 3
        assert env.env_is_wrapped(gym.wrappers.TimeLimit, indices=0) == [False]
        assert env.has_attr("task") and not env.has_attr("nothing_of_the_kind")
        assert env.get_images() == [None] * 3
        env.close()


def test_set_attr_reaches_the_environment_itself() -> None:
    env = TextVecEnv(RecordEpisodeStatistics(native(2)))
    env.set_attr("note", 5)
    assert env.env.unwrapped.note == 5 and env.get_attr("note") == [5, 5]
    with pytest.raises(ValueError, match="all rows"):
        env.set_attr("note", 6, indices=[0])


def test_options_per_row(make_text_env: MakeEnv) -> None:
    env = TextVecEnv(make_text_env(num_envs=3))
    env.set_options([{"prompt_id": i} for i in (2, 0, 1)])
    env.reset()
    assert [info["prompt_id"] for info in env.reset_infos] == [2, 0, 1]
    env.set_options({"prompt_id": 1})
    env.reset()
    assert [info["prompt_id"] for info in env.reset_infos] == [1, 1, 1]
    env.set_options([{"prompt_id": 0}, {}, {}])
    with pytest.raises(ValueError, match="same option names"):
        env.reset()


def test_record_episode_statistics_wins() -> None:
    env = TextVecEnv(RecordEpisodeStatistics(native(2)))
    env.reset()
    _, rewards, _, infos = env.step(np.array([EOS, 1]))
    assert infos[0]["episode"]["l"] == 1
    assert infos[0]["episode"]["r"] == pytest.approx(rewards[0], abs=1e-5)


def test_other_autoreset_modes_are_refused() -> None:
    for mode in ("NextStep", "Disabled"):
        with pytest.raises(ValueError, match="autoreset_mode 'SameStep'"):
            TextVecEnv(gym.make_vec(PROBE, num_envs=2, autoreset_mode=mode))


def test_what_as_vec_env_takes(make_text_task: Callable[..., Any]) -> None:
    assert as_vec_env(PROBE).num_envs == 64
    assert as_vec_env(PROBE, num_envs=2, env_kwargs={"kl_coef": 0.7}).get_attr("kl_coef")[0] == 0.7
    single = TokenEnv(make_text_task(), max_prompt_tokens=12, max_new_tokens=4)
    assert as_vec_env(single).num_envs == 1
    ready = DummyVecEnv([lambda: single])
    assert as_vec_env(ready) is ready
    seeded = [as_vec_env(PROBE, num_envs=2, seed=3) for _ in range(2)]
    assert np.array_equal(seeded[0].reset(), seeded[1].reset())
    with pytest.raises(TypeError, match="an id, an Env"):
        as_vec_env(None)  # type: ignore[arg-type]
