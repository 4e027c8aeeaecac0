"""The two forms against closed forms: points made of them are found again, peaks by search."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.agents.overoptimization.fits import FORMS, Fit, distance, fit

D = np.array([0.0, 0.2, 0.5, 1.0, 1.5, 2.5, 4.0])


def test_finds_the_coefficients_of_each_form() -> None:
    quadratic = fit("quadratic", D, D * (3.0 - 0.5 * D))
    assert quadratic is not None
    assert (quadratic.alpha, quadratic.beta) == (pytest.approx(3.0), pytest.approx(0.5))
    x = D[1:]
    y = x * (2.0 - 0.8 * np.log(x))
    logarithmic = fit("logarithmic", np.append(x, 0.0), np.append(y, 0.0))  # d = 0 says nothing
    assert logarithmic is not None
    assert (logarithmic.alpha, logarithmic.beta) == (pytest.approx(2.0), pytest.approx(0.8))
    assert logarithmic.r_squared == pytest.approx(1) and logarithmic.max_d == 4.0


@pytest.mark.parametrize("form", FORMS)
def test_peak_is_where_the_curve_is_highest(form: str) -> None:
    one = Fit(form=form, alpha=2.0, beta=0.9, r_squared=1.0, max_d=5.0)
    grid = np.linspace(0, 5, 200_001)
    assert one.peak == pytest.approx(grid[one(grid).argmax()], abs=1e-4)
    assert one.peak_seen == one.peak


def test_a_peak_beyond_the_points_is_not_seen() -> None:
    one = Fit(form="quadratic", alpha=2.0, beta=0.1, r_squared=1.0, max_d=5.0)
    assert one.peak == pytest.approx(10) and one.peak_seen is None


@pytest.mark.parametrize(("form", "beta"), [("quadratic", 0.0), ("logarithmic", -1.0)])
def test_what_never_falls_has_no_peak(form: str, beta: float) -> None:
    assert Fit(form=form, alpha=1.0, beta=beta, r_squared=1.0, max_d=1.0).peak is None


def test_what_only_falls_peaks_at_the_reference() -> None:
    assert Fit(form="quadratic", alpha=-1.0, beta=0.5, r_squared=1.0, max_d=1.0).peak == 0.0


def test_least_squares_by_hand() -> None:
    # Minimise over (a, b) the squares of a d - b d^2 - y at d = 1, 2, 3 and y = 1, 1, 1:
    # the normal equations 14 a - 36 b = 6, 36 a - 98 b = 14 give a = 21/19, b = 5/19.
    one = fit("quadratic", [1, 2, 3], [1, 1, 1])
    assert one is not None
    assert (one.alpha, one.beta) == (pytest.approx(21 / 19), pytest.approx(5 / 19))
    assert one.r_squared == 0.0  # no spread to explain


def test_too_few_points_give_no_fit() -> None:
    assert fit("quadratic", [0, 0, 1, 2], [0, 0, 1, 1]) is None
    assert fit("logarithmic", [2, 2, 2], [1, 1, 1]) is None


def test_distance_of_an_estimate_below_zero_is_zero() -> None:
    np.testing.assert_allclose(distance([-0.01, 0.0, 4.0]), [0, 0, 2])


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="form must be one of"):
        fit("cubic", [1, 2, 3], [1, 2, 3])
    with pytest.raises(ValueError, match="one length"):
        fit("quadratic", [1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="finite"):
        fit("quadratic", [1, 2, -3], [1, 2, 3])
