"""Advantages against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.agents.advantages import generalized_advantages, whiten


def test_by_hand() -> None:
    # Two rows. Row 0 ends with step 1 and starts anew; row 1 goes on past the rollout.
    rewards = np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    values = np.array([[0.5, 1.0], [1.0, 2.0], [0.0, 3.0]])
    is_end = np.array([[False, False], [True, False], [False, False]])
    got = generalized_advantages(
        rewards, values, is_end, np.array([4.0, 5.0]), gamma=0.5, gae_lambda=0.5
    )
    # Row 0: step 2: 3 + .5*4 - 0 = 5. Step 1 ends: 2 - 1 = 1. Step 0: 1 + .5*1 - .5 = 1, + .25*1.
    # Row 1: step 2: 0 + .5*5 - 3 = -.5. Step 1: 1 + .5*3 - 2 = .5, + .25*-.5 = .375.
    #        Step 0: 0 + .5*2 - 1 = 0, + .25*.375 = .09375.
    np.testing.assert_allclose(got, [[1.25, 0.09375], [1.0, 0.375], [5.0, -0.5]], rtol=1e-6)


def test_lambda_one_is_return_minus_value() -> None:
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    is_end = np.zeros((5, 3), bool)
    is_end[-1] = True
    got = generalized_advantages(rewards, values, is_end, np.full(3, 9.0), gae_lambda=1.0)
    returns = rewards[::-1].cumsum(axis=0)[::-1]
    np.testing.assert_allclose(got, returns - values, rtol=1e-5, atol=1e-6)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"\(T, N\)"):
        generalized_advantages(np.zeros((2, 1)), np.zeros((1, 2)), np.zeros((2, 1)), np.zeros(1))
    with pytest.raises(ValueError, match="last_values"):
        generalized_advantages(
            np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((2, 1), bool), np.zeros(2)
        )


def test_whiten_uses_the_biased_variance() -> None:
    got = whiten(np.array([1.0, 3.0]))
    np.testing.assert_allclose(got, [-1.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(whiten(np.array([1.0, 3.0]), shift_mean=False), [1.0, 3.0])
