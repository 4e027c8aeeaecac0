"""A user's function on several threads: concurrent, in order, and named where it fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from textgym.rewards.base import score_episodes
from textgym.rewards.functions import FunctionReward
from textgym.rewards.lookup import reward_named
from textgym.types import Episode, Prompt


def episode(prompt_id: int) -> Episode:
    prompt = Prompt(prompt_id=prompt_id, text="p")
    return Episode(
        prompt=prompt,
        prompt_ids=(1,),
        response_ids=(2,),
        response=f"answer {prompt_id}",
        finish_reason="length",
    )


EPISODES = [episode(i) for i in range(8)]


def ids_of(episodes: Sequence[Episode]) -> list[float]:
    return [float(e.prompt.prompt_id) for e in episodes]


def test_calls_run_at_the_same_time_and_scores_keep_their_order() -> None:
    barrier = threading.Barrier(4)  # nobody passes before four calls stand in front of it
    later = [threading.Event() for _ in EPISODES]

    def slow(episodes: Sequence[Episode]) -> list[float]:
        (index,) = (int(i) for i in ids_of(episodes))
        barrier.wait(timeout=20)
        # Within a four, the last one answers first.
        if index % 4 < 3:
            assert later[index + 1].wait(timeout=20)
        later[index].set()
        return [10.0 * index]

    scores = FunctionReward(slow, "slow", workers=4)(EPISODES)
    assert scores.dtype == np.float32
    assert scores.tolist() == [10.0 * i for i in range(8)]


def test_one_worker_gets_the_whole_batch_in_one_call() -> None:
    calls: list[int] = []

    def counting(episodes: Sequence[Episode]) -> list[float]:
        calls.append(len(episodes))
        return ids_of(episodes)

    alone = FunctionReward(counting, "counting")(EPISODES)
    assert calls == [8]
    calls.clear()
    assert FunctionReward(counting, "counting", workers=3)(EPISODES).tolist() == alone.tolist()
    assert calls == [1] * 8
    assert FunctionReward(counting, "counting", workers=3)([]).shape == (0,)


def test_an_error_names_its_episode_and_drops_what_has_not_begun() -> None:
    begun: list[int] = []

    def failing(episodes: Sequence[Episode]) -> list[float]:
        (index,) = (int(i) for i in ids_of(episodes))
        begun.append(index)
        if index == 2:
            raise ConnectionError("judge gone")
        threading.Event().wait(0.02)
        return [0.0]

    many = [episode(i) for i in range(200)]
    with pytest.raises(
        RuntimeError, match=r"'judge' failed for prompt_id 2 \(response 'answer 2'\).*judge gone"
    ) as caught:
        FunctionReward(failing, "judge", workers=2)(many)
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert len(begun) < 200


def test_wrong_values_are_named_as_with_one_worker() -> None:
    two = FunctionReward(lambda episodes: [1.0, 2.0], "two", workers=2)
    with pytest.raises(ValueError, match=r"'two' must return 1 number for 1 episode.*\(2,\)"):
        two(EPISODES)
    nan = FunctionReward(lambda episodes: [float("nan")], "nan", workers=2)
    with pytest.raises(ValueError, match="gave nan for prompt_id 0"):
        score_episodes(nan, EPISODES)


def test_the_workers_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def count(episodes: Sequence[Episode]) -> list[float]:
        sizes.append(len(episodes))
        return [1.0] * len(episodes)

    monkeypatch.setattr("textgym.rewards.functions.load_callable", lambda name: count)
    reward = reward_named("0.5*some.module:count - length", workers=2)
    terms = score_episodes(reward, EPISODES).terms
    assert terms["count"].tolist() == [0.5] * 8 and sizes == [1] * 8
