"""Batches of sequences by a budget of padded tokens, with little padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

_POOL_BATCHES = 50  # batches whose items are sorted by length together


def token_batches(costs: np.ndarray, budget: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Deal items into batches of at most `budget` padded tokens, similar lengths together.

    Args:
        costs: (M,) tokens of each item.
        budget: Padded tokens (longest item times number of items) of a batch, at least 1.
        rng: Draws which items meet and the order of the batches.

    Returns:
        Batches of indices; each of the M items appears exactly once.
    """
    order = rng.permutation(costs.size)
    mean_cost = max(1.0, float(costs.mean())) if costs.size else 1.0
    pool = max(1, int(_POOL_BATCHES * budget / mean_cost))
    batches: list[np.ndarray] = []
    for start in range(0, costs.size, pool):
        chunk = order[start : start + pool]
        batches.extend(_cut(chunk[np.argsort(costs[chunk], kind="stable")], costs, budget))
    return [batches[i] for i in rng.permutation(len(batches))]


def sorted_batches(costs: np.ndarray, budget: int) -> list[np.ndarray]:
    """Deal items into batches in order of length, for evaluation; see `token_batches`."""
    return list(_cut(np.argsort(costs, kind="stable"), costs, budget))


def right_padded(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack sequences; empty cells hold 0, which no causal model lets a real token see.

    Args:
        sequences: R lists of token ids, each of at least one.

    Returns:
        ids (R, L) int64 and lengths (R,) int64.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    ids = np.zeros((len(sequences), int(lengths.max())), dtype=np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : lengths[row]] = sequence
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def _cut(items: np.ndarray, costs: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Cut items, sorted by cost, where the padded size would pass the budget."""
    start = 0
    for end in range(1, items.size + 1):
        full = end < items.size and int(costs[items[end]]) * (end + 1 - start) > budget
        if full or end == items.size:
            yield items[start:end]
            start = end
