"""The buffer: segments, packing, dealing, memory, and SB3's losses over what it yields."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from textgym.agents.rollouts.rollout_buffer import SequenceRolloutBuffer

EMPTY = 9


def make_buffer(
    n_steps: int, n_envs: int, width: int = 6, **kwargs: object
) -> SequenceRolloutBuffer:
    observation_space = spaces.Box(0, EMPTY, (width,), np.int64)
    return SequenceRolloutBuffer(
        n_steps, observation_space, spaces.Discrete(EMPTY), "cpu", n_envs=n_envs, **kwargs
    )


def padded(*rows: list[int], width: int = 6) -> np.ndarray:
    return np.array([row + [EMPTY] * (width - len(row)) for row in rows])


def fill_by_hand(buffer: SequenceRolloutBuffer) -> None:
    """Row 0 ends at step 1; row 1 goes on. Values are 10 * step + row."""
    observations = [
        padded([1, 2], [3]),
        padded([1, 2, 4], [3, 5]),
        padded([8], [3, 5, 6]),
    ]
    actions = [[4, 5], [0, 6], [7, 7]]
    dones = [[False, False], [True, False], [False, False]]
    prompts = [[2, 1], [2, 1], [1, 1]]
    for step in range(3):
        buffer.add(
            observations[step],
            np.array(actions[step]),
            np.array([1.0 * step, 0.5]),
            np.array([step in (0, 2), step == 0]),
            np.array([10.0 * step, 10.0 * step + 1]),
            np.array([-0.1 * step, -0.2]),
            dones=np.array(dones[step]),
            prompt_lengths=np.array(prompts[step]),
        )


def test_segments_by_hand() -> None:
    buffer = make_buffer(3, 2, gamma=1.0, gae_lambda=1.0)
    fill_by_hand(buffer)
    assert buffer.full and buffer.n_transitions == 6
    # Row, first step, end, prompt length; in the order of their ends.
    assert buffer.segments.tolist() == [[0, 0, 2, 2], [0, 2, 3, 1], [1, 0, 3, 1]]
    assert buffer.ids.tolist() == [1, 2, 4, 0, 8, 7, 3, 5, 6, 7]
    buffer.compute_returns_and_advantage(np.array([100.0, 200.0]), np.array([False, False]))
    batch = buffer.pack(np.array([0, 2]))
    assert batch.observations["ids"].tolist() == [[1, 2, 4, 0], [3, 5, 6, 7]]
    assert batch.observations["is_action"].int().tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]
    assert batch.observations["prompt_lengths"].tolist() == [2, 1]
    assert batch.actions.tolist() == [4, 0, 5, 6, 7]
    assert batch.old_values.tolist() == [0.0, 10.0, 1.0, 11.0, 21.0]
    # Row 0: rewards 0 and 1, then the end. Row 1: .5 three times, then V = 200.
    np.testing.assert_allclose(batch.returns, [1.0, 1.0, 201.5, 201.0, 200.5])
    np.testing.assert_allclose(batch.advantages, [1.0, -9.0, 200.5, 190.0, 179.5])
    np.testing.assert_allclose(buffer.returns - buffer.values, buffer.advantages.flatten())


def test_waiting_steps_are_dropped() -> None:
    buffer = make_buffer(3, 1)
    for step, (done, valid) in enumerate([(True, True), (False, False), (True, True)]):
        buffer.add(
            padded([1, 2]),
            np.array([step]),
            np.array([5.0]),
            np.array([True]),
            np.array([1.0]),
            np.array([-1.0]),
            dones=np.array([done]),
            prompt_lengths=np.array([2]),
            is_valid=np.array([valid]),
        )
    assert buffer.segments.tolist() == [[0, 0, 1, 2], [0, 2, 3, 2]]
    buffer.compute_returns_and_advantage(np.array([7.0]), np.array([True]))
    (batch,) = buffer.get()
    assert sorted(batch.actions.tolist()) == [0, 2]
    np.testing.assert_allclose(batch.advantages, [4.0, 4.0])
    assert buffer.values.shape == buffer.returns.shape == (2,)


def test_episodes_without_a_score_are_left_out() -> None:
    answered, whole = (
        make_buffer(3, 2, gamma=1.0, gae_lambda=0.5),
        make_buffer(3, 2, gae_lambda=0.5),
    )
    for buffer in (answered, whole):
        fill_by_hand(buffer)
    rewards = np.array([[np.nan, 0.5], [np.nan, 0.5], [2.0, 0.5]])  # (T, N): row 0's first episode
    answered.set_rewards(rewards)
    assert answered.n_transitions == 6  # counted as played
    for buffer in (answered, whole):
        buffer.compute_returns_and_advantage(np.array([100.0, 200.0]), np.zeros(2))
    assert answered.segments.tolist() == [[0, 2, 3, 1], [1, 0, 3, 1]]
    assert answered.ids.tolist() == [8, 7, 3, 5, 6, 7] and answered.n_transitions == 4
    assert len(answered.values) == len(answered.returns) == 4
    assert np.isfinite(answered.returns).all()
    ours, theirs = answered.pack(np.array([0, 1])), whole.pack(np.array([1, 2]))
    for name in ("actions", "old_values", "old_log_prob", "advantages", "returns"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert ours.observations["ids"].tolist() == theirs.observations["ids"].tolist()
    (group,) = answered.deal(None)
    assert sorted(group) == [0, 1]


def test_a_rollout_that_nobody_scored_deals_nothing() -> None:
    buffer = make_buffer(3, 2, whiten_rewards=True)
    fill_by_hand(buffer)
    buffer.set_rewards(np.full((3, 2), np.nan))
    buffer.compute_returns_and_advantage(np.zeros(2), np.zeros(2))
    assert buffer.n_transitions == 0 and list(buffer.get(4)) == []


def fill_at_random(buffer: SequenceRolloutBuffer, prompt: int, longest: int) -> None:
    rng = np.random.default_rng(0)
    lengths = np.full(buffer.n_envs, prompt)
    for _ in range(buffer.buffer_size):
        obs = np.full((buffer.n_envs, buffer.width), EMPTY)
        obs[np.arange(buffer.width) < lengths[:, None]] = 1
        dones = (lengths - prompt == longest - 1) | (rng.random(buffer.n_envs) < 0.5 / longest)
        zeros = np.zeros(buffer.n_envs)
        buffer.add(
            obs,
            rng.integers(0, EMPTY, buffer.n_envs),
            zeros,
            zeros,
            rng.normal(size=buffer.n_envs),
            zeros,
            dones=dones,
            prompt_lengths=np.full(buffer.n_envs, prompt),
        )
        lengths = np.where(dones, prompt, lengths + 1)


@pytest.mark.parametrize("batch_size", [64, 100, 250, 10_000, None])
def test_dealing_is_even_complete_and_fresh(batch_size: int | None) -> None:
    buffer = make_buffer(40, 16, width=40, seed=3)
    fill_at_random(buffer, prompt=4, longest=20)
    total = buffer.n_transitions
    expected = 1 if batch_size is None else max(1, round(total / batch_size))
    sizes = [len(batch.actions) for batch in buffer.get(batch_size)]
    assert len(sizes) == expected and sum(sizes) == total
    assert max(sizes) - min(sizes) <= 20
    first, second = buffer.deal(batch_size), buffer.deal(batch_size)
    assert sorted(np.concatenate(first)) == list(range(len(buffer.segments)))
    assert any(a.tolist() != b.tolist() for a, b in zip(first, second, strict=True))


def test_segments_of_one_group_and_prompt_stay_together() -> None:
    buffer = make_buffer(4, 4, width=8, group_size=2, seed=0)
    # Rows 0 and 1 answer prompt 1, rows 2 and 3 prompt 1 too, in another group; all end after two
    # steps and begin prompt 2.
    for step in range(4):
        prompt = 1 + step // 2
        obs = padded(*([[prompt, 5] + [6] * (step % 2)] * 4), width=8)
        buffer.add(
            obs,
            np.full(4, 7),
            np.zeros(4),
            np.zeros(4),
            np.zeros(4),
            np.zeros(4),
            dones=np.full(4, step % 2 == 1),
            prompt_lengths=np.full(4, 2),
        )
    groups = {tuple(sorted(group.tolist())) for group in buffer.deal(4)}
    assert groups == {(0, 1), (2, 3), (4, 5), (6, 7)}
    assert len(buffer.deal(1)) == 4  # more groups than bundles


def test_more_groups_than_segments_gives_one_each() -> None:
    buffer = make_buffer(3, 2)
    fill_by_hand(buffer)
    assert sorted(len(group) for group in buffer.deal(1)) == [1, 1, 1]


def test_memory_per_transition() -> None:
    buffer = make_buffer(96, 64, width=112)
    fill_at_random(buffer, prompt=64, longest=48)
    assert buffer.nbytes / buffer.n_transitions <= 40


def test_a_whole_vocabulary_takes_no_table() -> None:
    assert make_buffer(3, 2, action_tokens=np.arange(EMPTY)).action_tokens is None
    subset = make_buffer(3, 2, action_tokens=(8, 7, 6, 5, 4, 3, 2, 1, 0))
    fill_by_hand(subset)
    # The last cell of each segment is the token of its last action: 0, 7 and 7.
    assert subset.ids.tolist() == [1, 2, 4, 8, 8, 1, 3, 5, 6, 1]


def test_advantages_whitened_once_per_rollout() -> None:
    buffer = make_buffer(3, 2, advantage_norm="rollout")
    fill_by_hand(buffer)
    buffer.compute_returns_and_advantage(np.zeros(2), np.zeros(2, bool))
    taken = np.concatenate([batch.advantages.numpy() for batch in buffer.get(2)])
    assert taken.mean() == pytest.approx(0.0, abs=1e-6)
    assert taken.std() == pytest.approx(1.0, abs=1e-5)
    returns = np.concatenate([batch.returns.numpy() for batch in buffer.get()])
    assert sorted(returns) == pytest.approx(sorted(buffer.returns), rel=1e-6)


def test_whitened_rewards_keep_their_mean() -> None:
    buffer = make_buffer(3, 2, whiten_rewards=True)
    fill_by_hand(buffer)
    before = buffer.rewards.copy()
    buffer.compute_returns_and_advantage(np.zeros(2), np.zeros(2, bool))
    assert buffer.rewards.mean() == pytest.approx(before.mean(), rel=1e-5)
    assert buffer.rewards.std() == pytest.approx(1.0, rel=1e-5)


def test_overwrite_puts_numbers_where_pack_takes_them() -> None:
    buffer = make_buffer(3, 2)
    fill_by_hand(buffer)
    group = np.array([2, 0, 1])
    numbers = np.arange(6, dtype=np.float32)
    buffer.overwrite(group, log_probs=numbers, values=-numbers)
    batch = buffer.pack(group)
    assert batch.old_log_prob.tolist() == numbers.tolist()
    assert batch.old_values.tolist() == (-numbers).tolist()


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="advantage_norm"):
        make_buffer(3, 2, advantage_norm="none")
    buffer = make_buffer(3, 2)
    with pytest.raises(ValueError, match="0 of 3"):
        list(buffer.get(4))
    fill_by_hand(buffer)
    with pytest.raises(ValueError, match="batch_size"):
        buffer.deal(0)
