"""Members combined and normalised, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.agents.reward_learning.ensembles import (
    EnsembleRule,
    member_normalisation,
    member_scales,
    normalisation,
)

REWARDS = np.array([[1.0, 4.0], [3.0, 0.0]])


def test_rules_by_hand() -> None:
    assert EnsembleRule().combine(REWARDS).tolist() == [2.0, 2.0]
    assert EnsembleRule(rule="minimum").combine(REWARDS).tolist() == [1.0, 0.0]
    cautious = EnsembleRule(rule="mean-variance", variance_weight=0.5)
    assert cautious.combine(REWARDS).tolist() == [2.0 - 0.5 * 1.0, 2.0 - 0.5 * 4.0]


def test_one_member_is_itself_under_every_rule() -> None:
    for rule in ("mean", "minimum", "mean-variance"):
        assert EnsembleRule(rule=rule).combine(REWARDS[:1]).tolist() == [1.0, 4.0]


def test_normalisation_by_hand() -> None:
    assert normalisation(np.array([1.0, 3.0])) == (1.0, -2.0)
    with pytest.raises(ValueError, match="expected scores that differ"):
        normalisation(np.array([2.0, 2.0]))


def test_members_of_any_scale_and_offset_become_the_same() -> None:
    one = np.array([0.0, 1.0, 5.0])
    gains, biases = member_normalisation(np.stack([one, 10 * one - 3]))
    rows = gains[:, None] * np.stack([one, 10 * one - 3]) + biases[:, None]
    assert rows[0] == pytest.approx(rows[1])
    assert rows.mean(axis=1) == pytest.approx(0) and rows.std(axis=1) == pytest.approx(1)


def test_scales_leave_the_zero_where_it_is() -> None:
    assert member_scales(np.array([[3.0, -3.0], [1.0, 7.0]])).tolist() == pytest.approx(
        [1 / 3, 0.2]
    )
    with pytest.raises(ValueError, match="not all 0"):
        member_scales(np.array([[1.0, 1.0], [0.0, 0.0]]))


def test_bad_rules_are_named() -> None:
    with pytest.raises(ValueError, match="rule must be one of .* got 'median'"):
        EnsembleRule(rule="median")
    with pytest.raises(ValueError, match="variance_weight .* got -1"):
        EnsembleRule(variance_weight=-1)
    with pytest.raises(ValueError, match=r"got shape \(2,\)"):
        EnsembleRule().combine(np.zeros(2))
