"""Episodes as lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym
from tests.textgym.wrappers.conftest import EOS, SAY_A, A, B
from textgym.wrappers import RecordEpisodes, VectorRecordEpisodes


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_line_says_all_of_an_episode(tmp_path: Path) -> None:
    file = tmp_path / "episodes.jsonl"
    env = RecordEpisodes(gym.make(SAY_A, info_action_mask=True), file)
    env.reset(options={"prompt_id": 1})
    env.step(np.int64(0))
    assert not file.exists()  # not finished yet
    env.step(2)
    (line,) = lines(file)
    assert line == {
        "episode": 0,
        "row": 0,
        "prompt": "p p",
        "prompt_id": 1,
        "prompt_length": 2,
        "actions": [0, 2],
        "rewards": [0.0, pytest.approx(0.9)],
        "terminated": True,
        "truncated": False,
        "response": "a",
        "response_ids": [A, EOS],
        "finish_reason": "eos",
        "score": pytest.approx(0.9),
        "gold_score": pytest.approx(0.9),
        "reward_terms": {"said_a": pytest.approx(0.9)},
    }


def test_any_environment_is_recorded(tmp_path: Path) -> None:
    file = tmp_path / "poles.jsonl"
    env = RecordEpisodes(gym.make("CartPole-v1", max_episode_steps=3), file)
    for seed in range(2):
        env.reset(seed=seed)
        while not any(env.step(0)[2:4]):
            pass
    found = lines(file)
    assert [line["episode"] for line in found] == [0, 1]
    assert found[0]["rewards"] == [1.0] * 3 and found[0]["actions"] == [0] * 3
    assert found[0]["truncated"] and not found[0]["terminated"]


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
@pytest.mark.parametrize("group_size", [1, 2])
def test_rows_are_recorded_as_rollout_saw_them(tmp_path: Path, mode: str, group_size: int) -> None:
    file = tmp_path / "rows.jsonl"
    kwargs = {"num_envs": 4, "autoreset_mode": mode, "group_size": group_size}
    envs = VectorRecordEpisodes(gym.make_vec(SAY_A, **kwargs), file)
    episodes = textgym.rollout(envs, None, 12, seed=5)
    wanted = {(e.prompt.text, e.response_ids, e.rewards) for e in episodes}
    found = lines(file)
    told = {(x["prompt"], tuple(x["response_ids"]), tuple(x["rewards"])) for x in found}
    assert wanted <= told and len(found) >= 12
    assert [line["episode"] for line in found] == list(range(len(found)))
    for line in found:
        assert len(line["actions"]) == len(line["rewards"]) == len(line["response_ids"])
        assert [(A, B, EOS)[action] for action in line["actions"]] == line["response_ids"]


def test_rows_that_are_reset_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    envs = VectorRecordEpisodes(gym.make_vec(SAY_A, num_envs=2, autoreset_mode="Disabled"), file)
    envs.reset(seed=0)
    envs.step(np.array([2, 0]))
    envs.reset(options={"reset_mask": np.array([True, False])})
    envs.step(np.array([1, 1]))
    envs.step(np.array([2, 2]))
    assert [(x["row"], x["response"]) for x in lines(file)] == [(0, ""), (0, "b"), (1, "a b")]


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_rows_of_other_environments(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "poles.jsonl"
    envs = gym.make_vec(
        "CartPole-v1",
        num_envs=2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode(mode)},
        max_episode_steps=3,
    )
    recorded = VectorRecordEpisodes(envs, file)
    recorded.reset(seed=0)
    for _ in range(8):
        recorded.step(np.array([0, 1]))
    found = lines(file)
    assert len(found) == 4 and all(line["rewards"] == [1.0] * 3 for line in found)
    assert [line["actions"][0] for line in found] == [0, 1, 0, 1]


def test_what_json_has_no_form_for(tmp_path: Path) -> None:
    class Odd(gym.Env):
        observation_space = action_space = gym.spaces.Discrete(2)

        def reset(self, **options: Any) -> Any:
            return 0, {"nan": float("nan"), "path": Path("x")}

        def step(self, action: Any) -> Any:
            return 0, np.float32(np.inf), True, False, {"array": np.array([1.5, np.nan])}

    env = RecordEpisodes(Odd(), tmp_path / "odd.jsonl")
    env.reset()
    env.step(1)
    (line,) = lines(tmp_path / "odd.jsonl")
    assert line["nan"] is None and line["path"] == "x" and line["rewards"] == [None]
    assert line["array"] == [1.5, None]


def test_files_are_not_written_over_and_may_go_on(tmp_path: Path) -> None:
    file = tmp_path / "episodes.jsonl"
    for append in (False, True):
        env = RecordEpisodes(gym.make(SAY_A), file, append=append)
        env.reset(seed=0)
        env.step(2)
    assert [line["episode"] for line in lines(file)] == [0, 1]
    with pytest.raises(FileExistsError, match="append=True goes on with it"):
        RecordEpisodes(gym.make(SAY_A), file)
    with pytest.raises(FileNotFoundError, match="expected the folder of"):
        RecordEpisodes(gym.make(SAY_A), tmp_path / "nowhere" / "episodes.jsonl")
    with pytest.raises(ValueError, match="expected reward_timing 'step', got 'deferred'"):
        VectorRecordEpisodes(gym.make_vec(SAY_A, reward_timing="deferred"), tmp_path / "x.jsonl")
