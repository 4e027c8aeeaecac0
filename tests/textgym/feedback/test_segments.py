"""How trajectories are cut, and pairs drawn."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.feedback.segments import RecordedSegment, SegmentPool, SegmentRecorder, draw_pairs


def recorded(length: int, episode: list[tuple[float, bool]]) -> list[RecordedSegment]:
    """Record (reward, terminated) steps; a step's observation is its number, its action 1."""
    found: list[RecordedSegment] = []
    recorder = SegmentRecorder(length, found.append)
    recorder.begin()
    for number, (reward, terminated) in enumerate(episode):
        recorder.add(np.array([number], dtype=np.float32), 1, reward, terminated=terminated)
    return found


def test_segments_follow_one_another_and_the_last_is_as_short_as_it_is() -> None:
    found = recorded(2, [(1.0, False)] * 4 + [(0.5, True)])
    assert [segment.observations[:, 0].tolist() for segment in found] == [[0, 1], [2, 3], [4]]
    assert [segment.terminated for segment in found] == [False, False, True]
    assert [segment.as_response().gold_score for segment in found] == [2.0, 2.0, 0.5]


def test_what_is_left_over_without_an_end_is_dropped() -> None:
    found: list[RecordedSegment] = []
    recorder = SegmentRecorder(3, found.append)
    for _ in range(2):  # two episodes that are cut off after two steps
        recorder.begin()
        recorder.add(np.zeros(1), 0, 1.0, terminated=False)
        recorder.add(np.zeros(1), 0, 1.0, terminated=False)
    assert found == []


def test_length_1_is_every_action() -> None:
    found = recorded(1, [(1.0, False), (2.0, False), (3.0, True)])
    assert [segment.true_rewards.tolist() for segment in found] == [[1.0], [2.0], [3.0]]


def test_the_record_holds_plain_numbers() -> None:
    found: list[RecordedSegment] = []
    recorder = SegmentRecorder(2, found.append)
    box = np.array([0.5, -0.5], dtype=np.float32)
    recorder.add(np.array([1.0, 2.0], dtype=np.float32), box, 1.0, terminated=False)
    recorder.add(np.array([3.0, 4.0], dtype=np.float32), box, -2.0, terminated=True)
    response = found[0].as_response("abc")
    assert response.segment is not None and response.policy_fingerprint == "abc"
    assert response.segment.observations == ((1.0, 2.0), (3.0, 4.0))
    assert response.segment.actions == ((0.5, -0.5), (0.5, -0.5))
    assert (response.segment.true_rewards, response.segment.terminated) == ((1.0, -2.0), True)
    assert recorded(1, [(1.0, False)])[0].as_segment().actions == (1,)


def test_the_pool_keeps_the_newest() -> None:
    pool = SegmentPool(2)
    for segment in recorded(1, [(1.0, False), (2.0, False), (3.0, False)]):
        pool.add(segment)
    assert [segment.true_rewards[0] for segment in pool.all()] == [2.0, 3.0]
    assert pool.take([1])[0].true_rewards[0] == 3.0
    pool.clear()
    assert len(pool) == 0


@pytest.mark.parametrize("count", [0, 3, 25])
def test_pairs_are_of_different_segments_and_use_each_as_rarely_as_possible(count: int) -> None:
    pairs = draw_pairs(10, count, np.random.default_rng(0))
    assert pairs.shape == (count, 2) and (pairs[:, 0] != pairs[:, 1]).all()
    used = np.bincount(pairs.ravel(), minlength=10)
    assert used.max() - used.min() <= 1
    assert draw_pairs(1, 5, np.random.default_rng(0)).shape == (0, 2)
