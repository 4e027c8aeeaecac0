"""Which segments go through one forward, by hand."""

from __future__ import annotations

import numpy as np

from textgym.agents.policies.prompt_families import (
    ROW_TOKENS_PER_BUDGET,
    deal_micro_batches,
    prompt_families,
)

A, B = [1, 2, 3, 4], [1, 2, 3, 5]
IDS = np.array([[*A, 7, 7], [*B, 7, 0], [*A, 8, 0], [*B, 9, 9], [*A, 9, 9]])
LENGTHS = np.array([5, 4, 4, 5, 5])
PROMPT_LENGTHS = np.full(5, 4)


def test_families() -> None:
    assert prompt_families(IDS, PROMPT_LENGTHS).tolist() == [0, 1, 0, 1, 0]
    # The same first tokens are another prompt where it is shorter.
    assert prompt_families(IDS, np.array([4, 4, 3, 3, 4])).tolist() == [0, 1, 2, 2, 0]


def test_shared_prompts_by_hand() -> None:
    (batch,) = deal_micro_batches(IDS, LENGTHS, PROMPT_LENGTHS, token_budget=100)
    assert batch.segments.tolist() == [2, 0, 4, 1, 3]
    assert batch.owners is not None and batch.owners.tolist() == [0, 0, 0, 1, 1]


def test_a_budget_counts_each_prompt_once() -> None:
    # Three tails of 2 behind a prompt of 3 make 9; a second prompt would make 14.
    batches = deal_micro_batches(IDS, LENGTHS, PROMPT_LENGTHS, token_budget=9)
    assert [batch.segments.tolist() for batch in batches] == [[2, 0, 4], [1, 3]]
    one_each = deal_micro_batches(IDS, LENGTHS, PROMPT_LENGTHS, token_budget=1)
    assert sorted(int(batch.segments[0]) for batch in one_each) == [0, 1, 2, 3, 4]


def test_rows_behind_one_prompt_are_bounded_too() -> None:
    ids, num_rows = np.tile(np.arange(11), (64, 1)), 64
    batches = deal_micro_batches(ids, np.full(num_rows, 11), np.full(num_rows, 11), 40)
    # A prompt of 10 and tails of 1: 30 rows fit what is read, but 40 * 8 / 11 what is held.
    assert [len(batch.segments) for batch in batches] == [29, 29, 6]
    assert 29 * 11 <= ROW_TOKENS_PER_BUDGET * 40 < 30 * 11


def test_nothing_is_shared_where_it_does_not_pay_or_cannot_be() -> None:
    def never() -> bool:
        raise AssertionError("asked although no prompt repeats")

    differing = IDS.copy()
    differing[:, 0] = range(5)
    for batch in deal_micro_batches(differing, LENGTHS, PROMPT_LENGTHS, 100, never):
        assert batch.owners is None
    refused = deal_micro_batches(IDS, LENGTHS, PROMPT_LENGTHS, 100, lambda: False)
    assert all(batch.owners is None for batch in refused)
    # A prompt of one token has no part that could be shared.
    single = deal_micro_batches(IDS, LENGTHS, np.ones(5, np.int64), 100, never)
    assert all(batch.owners is None for batch in single)
