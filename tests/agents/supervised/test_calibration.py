"""Reliability bins, calibration error and the fitted temperature, against hand-worked numbers."""

import numpy as np
import pytest

from textgym.agents.supervised.calibration import (
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    sigmoid,
)


def test_bins_by_hand():
    probability = np.array([0.96, 0.99, 0.03, 0.5])
    found = reliability_bins(probability)
    assert [b.confidence for b in found] == pytest.approx([0.5, (0.96 + 0.99 + 0.97) / 3])
    assert [b.accuracy.mean for b in found] == pytest.approx([0.5, 2 / 3])
    assert [b.accuracy.count for b in found] == [1, 3]
    gap = (0.96 + 0.99 + 0.97) / 3 - 2 / 3
    assert expected_calibration_error(probability) == pytest.approx(gap * 3 / 4)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_drew_the_labels_is_found(temperature):
    rng = np.random.default_rng(0)
    differences = rng.normal(0, 2, 40_000)
    targets = (rng.random(40_000) < sigmoid(differences / temperature)).astype(float)
    assert fit_temperature(differences, targets) == pytest.approx(temperature, rel=0.06)


def test_one_difference_has_a_closed_form():
    # Three of four wins at a difference of 2: sigmoid(2 / T) = 3 / 4, so T = 2 / log 3.
    found = fit_temperature(np.full(4, 2.0), np.array([1, 1, 1, 0]))
    assert found == pytest.approx(2 / np.log(3), rel=1e-6)


def test_ties_pull_towards_one_half_and_extremes_end_at_the_edge():
    sharp = fit_temperature(np.array([1.0, -1.0]), np.array([1.0, 0.5]))
    assert np.isfinite(sharp) and sharp > fit_temperature(np.array([1.0]), np.array([1.0]))
    assert fit_temperature(np.array([1.0, 2.0]), np.ones(2)) == pytest.approx(1e-3, rel=1e-3)
    assert fit_temperature(np.array([1.0, 2.0]), np.zeros(2)) == pytest.approx(1e3, rel=1e-3)
    with pytest.raises(ValueError, match="got 0"):
        fit_temperature(np.zeros(0), np.zeros(0))
