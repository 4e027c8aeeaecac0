"""Draws in plain integers equal those of NumPy's generator, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.envs_registry.draws import LOW_HALF, FastDraws


def both(seed: int) -> tuple[FastDraws, np.random.Generator]:
    entropy = np.random.SeedSequence((0, 1, seed))
    return FastDraws(entropy), np.random.Generator(np.random.PCG64(entropy))


def test_integers_and_floats_in_any_order_equal_numpy() -> None:
    order = np.random.default_rng(3)
    for seed in range(40):
        fast, numpy = both(seed)
        for _ in range(100):
            if order.random() < 0.3:
                assert fast.random() == numpy.random()
                continue
            low, size = int(order.integers(5)), int(order.integers(1, 2 ** order.integers(1, 32)))
            assert fast.integers(low, low + size) == numpy.integers(low, low + size)


def test_ranges_in_which_many_draws_are_rejected() -> None:
    for size in (2**31 + 1, 3 * 2**30, LOW_HALF - 1):
        fast, numpy = both(size % 97)
        assert [fast.integers(size) for _ in range(200)] == numpy.integers(size, size=200).tolist()


def test_one_number_takes_no_draw() -> None:
    fast, numpy = both(0)
    assert fast.integers(4, 5) == 4
    assert fast.integers(1000) == numpy.integers(1000)


@pytest.mark.parametrize("size", [0, -1, 2**32])
def test_a_range_that_it_cannot_draw_from(size: int) -> None:
    with pytest.raises(ValueError, match=f"got {size}"):
        both(0)[0].integers(size)
