"""Measures of a reward model by hand."""

import numpy as np
import pytest

from textgym.agents.supervised.calibration import expected_calibration_error
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.agents.supervised.reward_measures import reward_measures


def pair(chosen, rejected, **more):
    return PreferencePair(prompt="p", chosen=chosen, rejected=rejected, **more)


def test_numbers_by_hand():
    pairs = [
        pair("long one", "short", gold_margin=0.5),
        pair("abc", "longer", gold_margin=-0.5),  # the labeller was wrong
        pair("abc", "xyz", gold_margin=0.0),
        pair("tie", "tie2", is_tie=True, gold_margin=9.0),
    ]
    found = reward_measures(pairs, np.array([2.0, -1.0, 0.0, 5.0]))
    assert found.accuracy.mean == pytest.approx(1.5 / 3)
    assert found.longer_accuracy.mean == pytest.approx(1.5 / 3)
    assert found.gold_accuracy.mean == 1.0
    assert found.longer_gold_accuracy.mean == 1.0
    assert found.label_accuracy.mean == 0.5
    assert found.n_gold_ties == 1
    losses = [0.126928, 1.313262, 0.693147]
    assert found.log_loss.mean == pytest.approx(np.mean(losses), abs=1e-5)
    half = 1.959964 * np.std(losses, ddof=1) / np.sqrt(3)
    assert found.log_loss.half_width == pytest.approx(half, abs=1e-5)
    assert found.brier.mean == pytest.approx((0.119203**2 + 0.731059**2 + 0.25) / 3, abs=1e-5)
    assert found.brier.low < found.brier.mean < found.brier.high


def test_calibration_error_by_hand():
    # Confidence .9 three times, right twice; confidence .6 once, wrong.
    found = expected_calibration_error(np.array([0.9, 0.9, 0.1, 0.4]))
    assert found == pytest.approx((abs(2.7 - 2) + abs(0.6 - 0)) / 4)


def test_perfectly_calibrated_model_has_a_small_error():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.5, 1, size=20_000)
    right = rng.random(20_000) < probability
    assert expected_calibration_error(np.where(right, probability, 1 - probability)) < 0.02


def test_margin_bins_show_where_it_fails():
    margins = np.linspace(0.1, 1, 40)
    pairs = [pair("a", "b", margin=float(m)) for m in margins]
    found = reward_measures(pairs, np.where(margins > 0.5, 1.0, -1.0))
    accuracies = [b.accuracy.mean for b in found.by_margin]
    assert accuracies[0] == 0.0
    assert accuracies[-1] == 1.0
    assert sum(b.accuracy.count for b in found.by_margin) == 40
    assert found.gold_accuracy is None


def test_only_ties_are_refused():
    with pytest.raises(ValueError, match="got 0"):
        reward_measures([pair("a", "b", is_tie=True)], np.array([1.0]))
