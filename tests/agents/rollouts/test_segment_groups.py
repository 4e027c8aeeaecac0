"""Dealing segments: bundles stay whole, groups stay even, prompts are told apart by group."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.agents.rollouts.segment_groups import balanced_groups, prompt_bundles


@pytest.mark.parametrize("n_groups", [1, 2, 3])
def test_bundles_stay_whole_and_groups_even(n_groups: int) -> None:
    bundles, num_tokens = [[0], [1, 2], [3], [4]], np.array([5, 1, 1, 2, 4])
    groups = balanced_groups(bundles, num_tokens, n_groups, np.random.default_rng(0))
    assert len(groups) == n_groups
    assert sorted(np.concatenate(groups)) == [0, 1, 2, 3, 4]
    assert any({1, 2} <= set(group.tolist()) for group in groups)
    loads = [int(num_tokens[group].sum()) for group in groups]
    assert max(loads) - min(loads) <= 5  # the longest bundle


def test_the_order_is_drawn_afresh() -> None:
    bundles, num_tokens = [[place] for place in range(30)], np.ones(30, int)
    rng = np.random.default_rng(0)
    (first,), (second,) = (balanced_groups(bundles, num_tokens, 1, rng) for _ in range(2))
    assert sorted(first) == sorted(second) and first.tolist() != second.tolist()


def test_a_group_and_a_prompt_make_a_bundle() -> None:
    # Rows 0, 1 and 2 begin with prompt (7, 8); row 1 then answers (7, 9), which starts alike.
    segments = np.array([[0, 0, 1, 2], [1, 0, 1, 2], [2, 0, 1, 2], [1, 1, 2, 2]])
    ids = np.array([7, 8, 1, 7, 8, 2, 7, 8, 3, 7, 9, 4])
    offsets = np.array([0, 3, 6, 9, 12])
    assert prompt_bundles(segments, ids, offsets, 2) == [[0, 1], [2], [3]]
    assert prompt_bundles(segments, ids, offsets, 3) == [[0, 1, 2], [3]]
    assert prompt_bundles(segments, ids, offsets, 1) == [[0], [1], [2], [3]]
