"""Reports by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from textgym.agents.reward_learning.labels import KindLabels
from textgym.agents.reward_learning.term_reports import term_report


def labels(targets: list[float], columns: int) -> KindLabels:
    return KindLabels(
        rows=np.zeros((len(targets), columns), dtype=np.int64),
        targets=np.array(targets),
        weights=np.ones(len(targets)),
    )


def test_comparisons() -> None:
    rewards = np.array([[2.0, 1.0], [0.0, 1.0], [1.0, 1.0], [5.0, 0.0]])
    report = term_report("comparison", np.array([1, 2, 3, 6]), rewards, labels([1, 1, 1, 0.5], 2))
    assert report.loss.mean == 3.0 and report.count == 4
    assert report.knows_nothing == pytest.approx(math.log(2))
    assert report.accuracy is not None and report.accuracy.count == 3
    assert report.accuracy.mean == pytest.approx(1.5 / 3)  # right, wrong, a tie of the rewards
    assert report.correlation is None
    ties = term_report("comparison", np.ones(1), np.zeros((1, 2)), labels([0.5], 2))
    assert ties.accuracy is None


def test_scores() -> None:
    rewards = np.array([[1.0], [2.0], [3.0]])
    report = term_report("score", np.ones(3), rewards, labels([0.1, 0.2, 0.3], 1))
    assert report.correlation == pytest.approx(1.0) and report.accuracy is None
    assert report.knows_nothing == pytest.approx(-(0.2 * math.log(0.2) + 0.8 * math.log(0.8)))
    constant = term_report("score", np.ones(2), np.ones((2, 1)), labels([0.0, 0.0], 1))
    assert constant.correlation is None and constant.knows_nothing == 0.0
