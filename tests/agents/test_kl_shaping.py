"""The agent's half of the KL penalty."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from textgym.agents.kl_shaping import kl_shaped


def test_both_halves_make_the_usual_reward() -> None:
    log_pi, log_ref, score, kl_coef = np.log([0.5, 0.2]), np.log([0.25, 0.4]), 3.0, 0.1
    env_rewards = kl_coef * log_ref + np.array([0.0, score])
    got = kl_shaped(env_rewards, log_pi, kl_coef)
    expected = [-0.1 * np.log(2.0), 3.0 - 0.1 * np.log(0.5)]
    np.testing.assert_allclose(got, expected)
    np.testing.assert_allclose(env_rewards, kl_coef * log_ref + np.array([0.0, score]))


def test_tensors_stay_tensors() -> None:
    assert isinstance(kl_shaped(th.zeros(2), th.ones(2), 0.5), th.Tensor)


@pytest.mark.parametrize("kl_coef", [-0.1, float("nan"), float("inf")])
def test_bad_weight(kl_coef: float) -> None:
    with pytest.raises(ValueError, match="kl_coef"):
        kl_shaped(np.zeros(1), np.zeros(1), kl_coef)


def test_bad_shapes() -> None:
    with pytest.raises(ValueError, match="same shape"):
        kl_shaped(np.zeros((2, 1)), np.zeros((2, 2)), 0.1)
