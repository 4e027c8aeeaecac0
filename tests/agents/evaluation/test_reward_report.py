"""Reports of reward models by hand, and by models whose truth is known."""

import numpy as np
import pytest

from textgym.agents.evaluation.best_of_n import best_of_n
from textgym.agents.evaluation.reward_report import (
    LONGER,
    SHORTER,
    RewardReport,
    pair_report,
    sample_report,
)
from textgym.agents.supervised.calibration import sigmoid
from textgym.agents.supervised.preference_data import PreferencePair


def pair(chosen, rejected, **changes):
    return PreferencePair(prompt="p", chosen=chosen, rejected=rejected, **changes)


def test_subsets_ties_and_losses_by_hand():
    pairs = [
        pair("long", "s", subset="math"),
        pair("long", "s", subset="chat"),
        pair("s", "long", subset="chat"),
        pair("s", "long", is_tie=True),
        pair("x", "y"),
    ]
    raw = np.array([2.0, 0.0, -1.0, 3.0, 1.0])
    found = pair_report(pairs, raw)
    assert {name: e.mean for name, e in found.subsets.items()} == {
        LONGER: 0.75,
        SHORTER: 0.0,
        "math": 1.0,
        "chat": 0.25,
    }
    assert found.worst_subset == SHORTER
    assert found.measures.accuracy.mean == pytest.approx(2.5 / 4)
    assert (found.ties.judged, found.ties.scored) == (1, 1)
    assert found.ties.gap_judged_equal.mean == 3.0
    assert found.ties.gap_decided.mean == pytest.approx(1.0)
    losses = [np.log1p(np.exp(-2)), np.log(2), np.log1p(np.e), 0, np.log1p(np.exp(-1))]
    losses[3] = 0.5 * (np.log1p(np.exp(3)) + np.log1p(np.exp(-3)))
    assert found.ties.log_loss.mean == pytest.approx(np.mean(losses))


def test_a_model_that_is_too_sure_is_mended_by_its_temperature():
    rng = np.random.default_rng(0)
    gaps = rng.normal(0, 1.5, 4000)
    right = rng.random(4000) < sigmoid(np.abs(gaps))
    raw = 4 * np.where(right, np.abs(gaps), -np.abs(gaps))
    found = pair_report([pair("a", "b")] * 4000, raw)
    assert found.temperature.temperature == pytest.approx(4, rel=0.1)
    assert found.measures.calibration_error > 0.1
    assert found.temperature.calibration_error < 0.03
    assert found.temperature.log_loss.high < found.measures.log_loss.low
    assert found.temperature.brier.mean < found.measures.brier.mean


def test_a_model_of_length_is_seen_through():
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 30, (400, 2))
    pairs = [pair("a" * a, "b" * b) for a, b in sizes]
    found = pair_report(pairs, (sizes[:, 0] - sizes[:, 1]).astype(float))
    assert found.length_correlation.mean == pytest.approx(1)
    assert found.subsets[LONGER].mean == 1.0 and found.subsets[SHORTER].mean == 0.0


def test_samples_by_their_definitions():
    rng = np.random.default_rng(2)
    golds = rng.normal(size=(60, 8))
    scores = golds + rng.normal(size=(60, 8))
    lengths = rng.integers(1, 9, (60, 8)).astype(float)
    found = sample_report(scores, golds, lengths)
    assert found.correlation.mean == pytest.approx(np.corrcoef(scores.ravel(), golds.ravel())[0, 1])
    assert found.correlation.low < np.sqrt(0.5) < found.correlation.high
    assert found.correlation.count == 60  # intervals over prompts, not over samples
    assert abs(found.length_correlation.mean) < 0.15
    curve = found.best_of_n
    assert curve.n == (1, 2, 4, 8) and curve.kl[0] == 0
    by_hand = np.mean([best_of_n(s, g, 4) for s, g in zip(scores, golds, strict=True)])
    assert curve.gold[2].mean == pytest.approx(by_hand)
    assert curve.gold[3].mean == pytest.approx(np.mean(golds[np.arange(60), scores.argmax(axis=1)]))
    assert curve.best_gold[3].mean == pytest.approx(golds.max(axis=1).mean())
    assert all(g.mean <= b.mean for g, b in zip(curve.gold, curve.best_gold, strict=True))


def test_a_report_is_plain_values():
    found = pair_report([pair("long", "s"), pair("s", "long")], np.array([1.0, 0.5]))
    plain = RewardReport(model="m", pairs=found).as_dict()
    assert plain["pairs"]["measures"]["accuracy"]["count"] == 2
    assert plain["samples"] is None


def test_a_single_decided_pair_is_refused():
    with pytest.raises(ValueError, match="at least 2 decided pairs, got 1"):
        pair_report([pair("a", "b"), pair("a", "b", is_tie=True)], np.zeros(2))
