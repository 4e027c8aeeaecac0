"""The simulated labeller against its own probabilities."""

import numpy as np
import pytest

from textgym.agents.bundles.teacher import FallibleTeacher


def test_probability_by_hand():
    teacher = FallibleTeacher(temperature=0.5, mistake_rate=0.1)
    # A gap of one temperature: 0.9 sigmoid(1) + 0.05.
    found = teacher.probability(np.array([0.1, -0.1, 0.0]), gold_std=0.2)
    assert found == pytest.approx([0.9 * 0.731059 + 0.05, 0.9 * 0.268941 + 0.05, 0.5], abs=1e-6)


def test_draws_follow_the_probability():
    teacher = FallibleTeacher(temperature=1.0, mistake_rate=0.0)
    drawn = teacher.prefers_first(np.full(20_000, 1.0), 1.0, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(0.731, abs=0.012)


def test_mistakes_do_not_vanish_with_the_gap():
    teacher = FallibleTeacher(temperature=0.01, mistake_rate=0.2)
    drawn = teacher.prefers_first(np.full(20_000, 9.0), 1.0, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"temperature": 0.0}, "got 0.0"), ({"mistake_rate": 1.5}, "got 1.5")],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        FallibleTeacher(**settings)


def test_a_utility_that_never_differs_is_refused():
    with pytest.raises(ValueError, match="gold_std must be above 0, got 0"):
        FallibleTeacher().probability(np.zeros(2), 0.0)
