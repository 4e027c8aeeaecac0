"""The vector environment: autoreset modes, groups, states, options, and equality with single."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

import textgym  # noqa: F401
from textgym.config import TextEnvConfig
from textgym.prompts import PromptList
from textgym.task import TextTask
from textgym.tokenizer import SymbolTokenizer
from textgym.vector_env import TokenVectorEnv, autoreset_mode_of

ID = "Probe-ExactKL-v0"
EOS = 5


class Zero:
    name = "zero"

    def __call__(self, episodes: Any) -> np.ndarray:
        return np.zeros(len(episodes), dtype=np.float32)


def build_two_prompts(config: TextEnvConfig) -> TextTask:
    tokenizer = SymbolTokenizer(["p", "q", "r", "s", "a", "<eos>"])
    return TextTask(
        config=config,
        prompts=PromptList(["p", "q", "r", "s"]),
        tokenizer=tokenizer,
        reward=Zero(),
        eos_ids=tokenizer.eos_ids,
        action_tokens=np.arange(6),
    )


def make(num_envs: int = 4, mode: str = "SameStep", **kwargs: Any) -> TokenVectorEnv:
    kwargs = {"max_prompt_tokens": 2, "max_new_tokens": 3, **kwargs}
    return TokenVectorEnv(build_two_prompts, num_envs, mode, **kwargs)


def test_same_step_begins_the_next_episode_at_once() -> None:
    envs = gym.make_vec(ID, num_envs=2)
    envs.reset(seed=0)
    obs, rewards, terminated, truncated, info = envs.step(np.array([EOS, 1]))
    assert terminated.tolist() == [True, False] and not truncated.any()
    assert obs.tolist() == [[0, 6, 6, 6, 6], [0, 1, 6, 6, 6]]
    assert info["final_obs"][0].tolist() == [0, EOS, 6, 6, 6] and info["final_obs"][1] is None
    final = info["final_info"]
    assert final["finish_reason"].tolist() == ["eos", None]
    assert final["_score"].tolist() == [True, False]
    assert final["reward_terms"]["table"][0] == final["score"][0]
    assert rewards[0] == pytest.approx(final["score"][0] + 0.1 * final["ref_log_prob"][0])
    assert info["_ref_log_prob"].tolist() == [False, True]


def test_next_step_spends_a_step_on_the_reset() -> None:
    envs = gym.make_vec(ID, num_envs=2, autoreset_mode="NextStep")
    envs.reset(seed=0)
    obs, _, terminated, _, info = envs.step(np.array([EOS, 1]))
    assert obs[0].tolist() == [0, EOS, 6, 6, 6] and info["_score"].tolist() == [True, False]
    obs, rewards, terminated, _, info = envs.step(np.array([3, 1]))
    assert obs[0].tolist() == [0, 6, 6, 6, 6]
    assert rewards[0] == 0.0 and not terminated.any()
    assert info["_prompt"].tolist() == [True, False]
    assert info["_ref_log_prob"].tolist() == [False, True]


def test_disabled_waits_for_a_partial_reset() -> None:
    envs = gym.make_vec(ID, num_envs=2, autoreset_mode="Disabled")
    envs.reset(seed=0)
    _, _, terminated, _, _ = envs.step(np.array([EOS, 1]))
    with pytest.raises(ResetNeeded, match="row 0 has ended"):
        envs.step(np.array([1, 1]))
    options = {"reset_mask": terminated.copy()}
    obs, info = envs.reset(options=options)
    assert options["reset_mask"].tolist() == [True, False]  # read, never popped or changed
    assert obs.tolist() == [[0, 6, 6, 6, 6], [0, 1, 6, 6, 6]]
    assert info["_prompt"].tolist() == [True, False]
    envs.step(np.array([1, 1]))


def test_step_needs_a_reset_first() -> None:
    for mode in AutoresetMode:
        with pytest.raises(ResetNeeded, match="call reset"):
            gym.make_vec(ID, num_envs=2, autoreset_mode=mode.value).step(np.array([1, 1]))


def test_statistics_wrapper_and_info_lists_work_on_it() -> None:
    for mode in ("SameStep", "NextStep"):
        envs = DictInfoToList(
            RecordEpisodeStatistics(gym.make_vec(ID, num_envs=2, autoreset_mode=mode))
        )
        envs.reset(seed=0)
        _, rewards, _, _, infos = envs.step(np.array([EOS, 1]))
        assert infos[0]["episode"]["r"] == pytest.approx(rewards[0])
        assert "episode" not in infos[1]


def test_mode_by_any_spelling_in_both_places() -> None:
    for value in ("NextStep", "next_step", "NEXT_STEP", AutoresetMode.NEXT_STEP):
        envs = make(mode=value)  # type: ignore[arg-type]
        assert envs.autoreset_mode is AutoresetMode.NEXT_STEP
        assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert TokenVectorEnv.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    with pytest.raises(ValueError, match="got 'sometimes'"):
        autoreset_mode_of("sometimes")


def test_row_i_is_the_single_environment_seeded_with_seed_plus_i() -> None:
    envs = make(4)
    _, infos = envs.reset(seed=3)
    for row in range(4):
        single = make(1)
        assert single.reset(seed=3 + row)[1]["prompt_id"][0] == infos["prompt_id"][row]
    assert envs.np_random_seed == (3, 4, 5, 6)
    again = envs.reset(seed=[3, None, 5, 6])[1]["prompt_id"]
    assert again[[0, 2, 3]].tolist() == infos["prompt_id"][[0, 2, 3]].tolist()
    with pytest.raises(ValueError, match="4 of them, got 2"):
        envs.reset(seed=[1, 2])


def test_global_generators_are_left_alone() -> None:
    np.random.seed(0)
    expected = np.random.RandomState(0).random()
    make(2).reset(seed=5)
    assert np.random.random() == expected


def test_wrong_actions() -> None:
    envs = make(2)
    envs.reset(seed=0)
    with pytest.raises(TypeError, match="a sequence of 2"):
        envs.step(1)
    with pytest.raises(ValueError, match="2 integers, got int64 of shape"):
        envs.step(np.array([1, 2, 3]))
    with pytest.raises(ValueError, match="2 integers, got float64"):
        envs.step(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"\[0, 6\), got 6 in row 1"):
        envs.step([1, 6])


def test_observations_and_infos_are_fresh() -> None:
    envs = make(2, info_action_mask=True)
    first, info_1 = envs.reset(seed=0)
    second, _, _, _, info_2 = envs.step([4, 4])
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(info_1["action_mask"], info_2["action_mask"])
    assert not np.shares_memory(info_1["prompt_length"], info_2["prompt_length"])
    first[:] = 0
    assert second[0, 0] == envs.step([4, 4])[0][0, 0]


def test_reset_options() -> None:
    envs = make(4)
    assert envs.reset(options={"prompt_id": 2})[1]["prompt_id"].tolist() == [2] * 4
    obs, info = envs.reset(options={"prompt_id": np.array([3, 2, 1, 0])})
    assert info["prompt"].tolist() == ["s", "r", "q", "p"]
    obs, info = envs.reset(options={"prompt": ["a p", "p", "q", "r"]})
    assert obs[0, :2].tolist() == [4, 0] and info["prompt_id"].tolist() == [-1] * 4
    mask = np.array([False, True, False, False])
    obs, info = envs.reset(options={"prompt_id": 0, "reset_mask": mask})
    assert info["_prompt"].tolist() == mask.tolist() and obs[0, :2].tolist() == [4, 0]
    with pytest.raises(ValueError, match=r"\[0, 4\), got 4"):
        envs.reset(options={"prompt_id": 4})
    with pytest.raises(ValueError, match="one value or 4"):
        envs.reset(options={"prompt_id": [1, 2]})
    with pytest.raises(ValueError, match="'prompt_ids'; did you mean 'prompt_id'"):
        envs.reset(options={"prompt_ids": 1})
    with pytest.raises(TypeError, match="numpy array of bool"):
        envs.reset(options={"reset_mask": [True] * 4})
    with pytest.raises(ValueError, match="a True value"):
        envs.reset(options={"reset_mask": np.zeros(4, dtype=bool)})


def test_a_group_shares_its_prompt_and_waits_for_its_last_row() -> None:
    envs = make(4, group_size=2)
    _, info = envs.reset(seed=1)
    ids = info["prompt_id"].tolist()
    assert ids[0] == ids[1] and ids[2] == ids[3]
    obs, _, terminated, _, info = envs.step([EOS, 4, 4, 4])
    assert terminated.tolist() == [True, False, False, False]
    assert info["_final_info"].tolist() == [True, False, False, False]
    assert not info["waiting"].any() and envs.is_waiting.tolist() == [True, False, False, False]
    assert obs[0, 1] == EOS  # its observation stays the ended episode's
    obs, rewards, terminated, _, info = envs.step([-7, 4, 4, 4])  # its action is not looked at
    assert info["waiting"].tolist() == [True, False, False, False]
    assert rewards[0] == 0.0 and not terminated.any() and obs[0, 1] == EOS
    obs, rewards, terminated, _, info = envs.step([0, EOS, EOS, 4])
    assert info["waiting"].tolist() == [True, False, False, False]
    assert terminated.tolist() == [False, True, True, True]
    assert not envs.is_waiting.any()
    assert info["_prompt"].tolist() == [True] * 4  # both groups begin in this step
    after = info["prompt_id"].tolist()
    assert after[0] == after[1] and after[2] == after[3]
    assert (obs[:, 1:] == 6).all()


def test_dropping_waiting_steps_leaves_whole_episodes() -> None:
    envs = make(4, group_size=4)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    kept: list[list[int]] = [[] for _ in range(4)]
    ends: list[list[bool]] = [[] for _ in range(4)]
    finals: list[tuple[int, ...]] = []
    for _ in range(40):
        actions = rng.integers(6, size=4)
        _, _, terminated, _, info = envs.step(actions)
        for row in np.flatnonzero(~info["waiting"]):
            kept[row].append(int(actions[row]))
            ends[row].append(bool(terminated[row]))
        if "final_info" in info:
            ids = info["final_info"]["response_ids"]
            finals += [ids[row] for row in np.flatnonzero(info["_final_info"])]
    episodes = []
    for row in range(4):
        current: list[int] = []
        for action, end in zip(kept[row], ends[row], strict=True):
            current.append(action)
            if end:
                episodes.append(tuple(current))
                current = []
    assert sorted(episodes) == sorted(finals) and len(finals) > 20


def test_groups_in_the_other_modes() -> None:
    envs = make(2, "NextStep", group_size=2)
    envs.reset(seed=0)
    envs.step([EOS, 4])
    _, _, terminated, _, info = envs.step([4, EOS])
    assert info["waiting"].tolist() == [True, False] and terminated.tolist() == [False, True]
    _, rewards, terminated, _, info = envs.step([4, 4])
    assert info["_prompt"].tolist() == [True, True] and not info["waiting"].any()
    disabled = make(2, "Disabled", group_size=2)
    disabled.reset(seed=0)
    disabled.step([EOS, 4])
    disabled.step([4, EOS])
    with pytest.raises(ResetNeeded):
        disabled.step([4, 4])
    with pytest.raises(ValueError, match="whole groups of 2"):
        disabled.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ValueError, match="one group and must ask for the same prompt"):
        disabled.reset(options={"prompt_id": [0, 1]})
    with pytest.raises(ValueError, match="multiple of group_size=3, got 4"):
        make(4, group_size=3)


def test_groups_and_deferred_rewards() -> None:
    envs = gym.make_vec(ID, num_envs=4, group_size=2)
    later: Any = gym.make_vec(ID, num_envs=4, group_size=2, reward_timing="deferred")
    envs.reset(seed=0)
    later.reset(seed=0)
    rng = np.random.default_rng(1)
    paid = []
    for _ in range(30):
        actions = rng.integers(6, size=4)
        paid.append(envs.step(actions)[1])
        later.step(actions)
    np.testing.assert_allclose(later.settle_rewards(), np.stack(paid), atol=1e-6)


def test_full_reset_discards_pending_rewards_loudly() -> None:
    envs: Any = gym.make_vec(ID, num_envs=2, reward_timing="deferred")
    envs.reset(seed=0)
    envs.step([1, 1])
    with pytest.warns(RuntimeWarning, match="the environment was reset"):
        envs.reset()
    assert envs.settle_rewards().shape == (0, 2)


def test_partial_reset_keeps_pending_rewards() -> None:
    envs: Any = gym.make_vec(ID, num_envs=2, reward_timing="deferred", autoreset_mode="Disabled")
    paying = gym.make_vec(ID, num_envs=2, autoreset_mode="Disabled")
    envs.reset(seed=0)
    paying.reset(seed=0)
    envs.step([EOS, 2])
    expected = paying.step([EOS, 2])[1]
    envs.reset(options={"reset_mask": np.array([True, True])})  # cuts row 1 off as well
    rewards = envs.settle_rewards()
    np.testing.assert_allclose(rewards, expected[None], atol=1e-6)
    assert [s.row for s in envs.settled_episodes] == [0]


def test_branching_copies_are_exact() -> None:
    envs = make(3)
    envs.reset(seed=0)
    envs.step([4, 0, 1])
    state = envs.get_state()
    one = [envs.step([2, EOS, 4]), envs.step([EOS, EOS, EOS])]
    envs.set_state(state)
    other = [envs.step([2, EOS, 4]), envs.step([EOS, EOS, EOS])]
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a[0], b[0]) and np.array_equal(a[2], b[2])
        # The generators were copied too: the next prompts are the same.
        assert ("prompt_id" in a[4]) and a[4]["prompt_id"].tolist() == b[4]["prompt_id"].tolist()


def test_one_row_may_be_copied_into_all() -> None:
    envs = make(3)
    envs.reset(options={"prompt_id": [0, 1, 2]})
    envs.step([4, 0, 1])
    obs = envs.set_state(envs.get_state(1), [0, 1, 2])
    assert obs[:, :3].tolist() == [[1, 0, 6]] * 3
    with pytest.raises(ValueError, match="1 or 3 rows, got 2"):
        envs.set_state(envs.get_state([0, 1]), [0, 1, 2])
    with pytest.raises(ValueError, match=r"rows must lie in \[0, 3\), got 3"):
        envs.get_state(3)
    with pytest.raises(ValueError, match="width 5 and 3 response tokens, got 6 and 4"):
        envs.set_state(make(1, max_new_tokens=4).get_state(0), 0)


def test_render() -> None:
    envs = make(2, render_mode="ansi")
    envs.reset(options={"prompt_id": [0, 1]})
    frames = envs.render()
    assert frames is not None and len(frames) == 2 and "q" in frames[1]
    with pytest.raises(ValueError, match="got 'rgb_array'"):
        make(1, render_mode="rgb_array").render()
    assert make(1).render() is None


def test_a_step_without_ends_costs_no_work_per_row() -> None:
    envs = make(256, max_prompt_tokens=112, max_new_tokens=400)
    envs.reset(seed=0)
    actions = np.full(256, 4)
    times = []
    for _ in range(100):
        start = time.perf_counter()
        envs.step(actions)
        times.append(time.perf_counter() - start)
    assert min(times) < 1e-3, f"a step of 256 rows took {min(times) * 1e6:.0f} microseconds"
