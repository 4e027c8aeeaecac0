"""Intervals against closed forms and published values."""

import numpy as np
import pytest

from textgym.intervals import (
    bootstrap_interval,
    mean_interval,
    paired_difference,
    ratio_interval,
    wilson_interval,
)


def test_mean_interval_by_hand():
    # Mean 2, sample variance 1, three values: 1.959964 / sqrt(3).
    estimate = mean_interval([1.0, 2.0, 3.0])
    assert estimate.mean == 2.0
    assert estimate.half_width == pytest.approx(1.959964 / np.sqrt(3), abs=1e-6)
    assert estimate.count == 3


def test_one_value_has_no_width():
    assert mean_interval([4.0]).half_width == 0.0


def test_wilson_known_value():
    # 8 of 10: the textbook interval is (0.4902, 0.9433).
    estimate = wilson_interval(8, 10)
    assert (estimate.low, estimate.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


@pytest.mark.parametrize("successes", [0, 7])
def test_wilson_stays_inside(successes):
    estimate = wilson_interval(successes, 7)
    assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 1
    assert estimate.low < estimate.high


def test_paired_difference_removes_the_common_part():
    common = np.random.default_rng(0).normal(scale=100, size=50)
    estimate = paired_difference(common + 1.0, common)
    assert estimate.mean == pytest.approx(1.0)
    assert estimate.half_width == pytest.approx(0.0, abs=1e-9)


def test_bootstrap_agrees_with_the_normal_interval():
    values = np.random.default_rng(1).normal(size=400)
    normal, boot = mean_interval(values), bootstrap_interval((values,), np.mean)
    assert boot.low == pytest.approx(normal.low, abs=0.02)
    assert boot.high == pytest.approx(normal.high, abs=0.02)


def test_ratio_of_proportional_columns_is_exact():
    values = np.arange(1.0, 20.0)
    estimate = ratio_interval(values * 0.5, values)
    assert (estimate.low, estimate.mean, estimate.high) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_interval([]),
        lambda: mean_interval([1.0, float("nan")]),
        lambda: mean_interval([1.0], level=1.0),
        lambda: wilson_interval(3, 2),
        lambda: wilson_interval(0, 0),
        lambda: paired_difference([1.0], [1.0, 2.0]),
        lambda: bootstrap_interval(([1.0], [1.0, 2.0]), np.mean),
        lambda: ratio_interval([1.0, 1.0], [1.0, -1.0]),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError, match="got"):
        call()
