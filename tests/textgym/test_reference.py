"""The reference protocol and the table reference, against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from textgym.reference import ActionIndex, Reference, ResponseSequence, TableReference

NUM_ACTIONS = 4


def logits_of(state: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng([len(state), *state])
    return rng.normal(size=NUM_ACTIONS)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits)
    return weights / weights.sum()


def sequence(ids: list[int], prompt_length: int) -> ResponseSequence:
    return ResponseSequence(
        ids=np.array(ids),
        action_positions=np.arange(prompt_length, len(ids)),
        prompt_length=prompt_length,
    )


def test_probabilities_of_all_sequences_sum_to_one():
    reference = TableReference(logits_of)
    assert isinstance(reference, Reference)
    every = [
        sequence([1, *actions], 1) for actions in itertools.product(range(NUM_ACTIONS), repeat=3)
    ]
    log_probs = reference.sequence_log_probs(every, temperature=0.7)
    assert np.exp([values.sum() for values in log_probs]).sum() == pytest.approx(1.0, abs=1e-12)
    by_hand = np.log(softmax(logits_of((1,)) / 0.7)[2])
    assert log_probs[2 * 16][0] == pytest.approx(by_hand, abs=1e-12)


def test_steps_equal_sequences_under_a_mask():
    reference = TableReference(logits_of)
    allowed = np.array([[True, False, True, True], [True, True, True, False]])
    item = sequence([0, 1, 3, 2], 2)
    together = reference.sequence_log_probs([item], 1.0, lambda _: allowed)[0]
    ids = np.array([[0, 1, 9, 9], [0, 1, 3, 9]])
    steps = reference.step_log_probs(ids, np.array([2, 3]), np.array([3, 2]), allowed, 1.0)
    np.testing.assert_array_equal(together, steps)
    weights = np.exp(logits_of((0, 1))) * allowed[0]
    assert steps[0] == pytest.approx(np.log(weights[3] / weights.sum()), abs=1e-12)


def test_action_tokens_are_translated():
    index = ActionIndex(np.array([5, 2, 9]))
    assert index.actions_of(np.array([9, 5])).tolist() == [2, 0]
    with pytest.raises(ValueError, match="token 3 is not"):
        index.actions_of(np.array([3]))
    with pytest.raises(ValueError, match="token 10 is not"):
        index.actions_of(np.array([10]))
    reference = TableReference(lambda state: np.array([0.0, np.log(3.0)]), np.array([7, 8]))
    values = reference.sequence_log_probs([sequence([1, 8, 7], 1)])[0]
    np.testing.assert_allclose(values, np.log([0.75, 0.25]), atol=1e-12)


def test_bad_sequences_are_refused():
    with pytest.raises(ValueError, match="prompt_length"):
        sequence([1, 2], 0)
    with pytest.raises(ValueError, match="action_positions"):
        ResponseSequence(ids=np.array([1, 2]), action_positions=np.array([0]), prompt_length=1)
    nothing = np.zeros((1, NUM_ACTIONS), bool)
    with pytest.raises(ValueError, match="no action is allowed"):
        TableReference(logits_of).step_log_probs(
            np.array([[1]]), np.array([1]), np.array([0]), nothing
        )
