"""Batches by a budget of padded tokens."""

import numpy as np
import pytest

from textgym.agents.supervised.token_batches import right_padded, sorted_batches, token_batches


@pytest.mark.parametrize("budget", [40, 500, 10_000])
def test_every_item_once_and_within_the_budget(budget):
    costs = np.random.default_rng(0).integers(1, 60, size=333)
    batches = token_batches(costs, budget, np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(333))
    assert all(len(b) == 1 or costs[b].max() * len(b) <= budget for b in batches)


def test_little_padding():
    costs = np.random.default_rng(0).integers(10, 100, size=5000)
    batches = token_batches(costs, 2000, np.random.default_rng(1))
    padded = sum(costs[b].max() * len(b) for b in batches)
    assert costs.sum() / padded > 0.95


def test_order_is_a_function_of_the_generator():
    costs = np.arange(1, 100)
    first, again, other = (
        token_batches(costs, 300, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=False))


def test_sorted_batches_by_hand():
    batches = sorted_batches(np.array([5, 1, 2, 5]), 10)
    assert [list(batch) for batch in batches] == [[1, 2], [0, 3]]


def test_right_padded():
    ids, lengths = right_padded([(7,), (4, 5, 6)])
    assert ids.tolist() == [[7, 0, 0], [4, 5, 6]]
    assert lengths.tolist() == [1, 3]
