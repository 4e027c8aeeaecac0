"""Grouping rows into forwards: nothing lost, little padding, twins once."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.models.length_groups import group_prefills, groups_by_length


@pytest.mark.parametrize(("budget", "padding"), [(64, 10), (1000, 0), (10_000, 10_000)])
def test_every_row_is_in_exactly_one_group_within_its_limits(budget: int, padding: int):
    lengths = np.random.default_rng(0).integers(1, 50, 40)
    groups = groups_by_length(lengths, budget, padding)
    assert sorted(np.concatenate(groups).tolist()) == list(range(40))
    for group in groups:
        longest = lengths[group].max()
        assert len(group) == 1 or longest * len(group) <= budget
        assert (longest - lengths[group]).sum() <= padding


def test_no_rows_make_no_groups():
    assert groups_by_length(np.zeros(0, int)) == []


def test_rows_are_split_by_hand_worked_padding():
    # sorted 9 9 5 4: 9 and 9 fit, 5 would pad 4 > 3; 5 and 4 pad 1
    groups = groups_by_length(np.array([5, 9, 4, 9]), padding=3)
    assert [group.tolist() for group in groups] == [[1, 3], [0, 2]]


def test_twins_from_the_start_are_copied_and_continuing_rows_are_not():
    ids = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 9], [1, 2, 3]])
    starts, lengths = np.array([0, 0, 0, 1]), np.array([3, 3, 2, 3])
    groups = group_prefills(ids, starts, lengths, np.arange(4))
    assert [group.members.tolist() for group in groups] == [[0, 2], [3]]
    assert [group.copies for group in groups] == [{0: [1]}, {}]
