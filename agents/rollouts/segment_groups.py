"""How the segments of a rollout are dealt into groups: whole prompts, even numbers of tokens.

Shape letters: S segments.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np


def balanced_groups(
    bundles: Sequence[Sequence[int]],
    num_tokens: np.ndarray,
    n_groups: int,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Deal the bundles, in a fresh order, into groups of about as many tokens each.

    Args:
        bundles: The segments that stay together.
        num_tokens: (S,) action tokens of each segment.
        n_groups: At least one and at most one per bundle.
        rng: Draws the order.

    Returns:
        The segment indices of each group.
    """
    groups: list[list[int]] = [[] for _ in range(n_groups)]
    # Each bundle of a fresh permutation goes to the group with the fewest tokens, so that two
    # groups never differ by more than the longest bundle.
    loads = [(0, index) for index in range(n_groups)]
    for bundle in rng.permutation(len(bundles)):
        load, index = heapq.heappop(loads)
        groups[index].extend(bundles[bundle])
        heapq.heappush(loads, (load + int(num_tokens[bundles[bundle]].sum()), index))
    return [np.array(group) for group in groups]


def prompt_bundles(
    segments: np.ndarray, ids: np.ndarray, offsets: np.ndarray, group_size: int
) -> list[list[int]]:
    """Give the segments that stay together: alone, or those of a group and one prompt.

    Args:
        segments: (S, 4) row, first and last step, length of the prompt.
        ids: The tokens of all segments, one behind the other.
        offsets: (S + 1,) where each segment begins in `ids`.
        group_size: Neighbouring rows that answer the same prompts.
    """
    if group_size == 1:
        return [[segment] for segment in range(len(segments))]
    bundles: dict[tuple[int, bytes], list[int]] = {}
    for segment, (row, _, _, prompt_length) in enumerate(segments.tolist()):
        begin = offsets[segment]
        prompt = ids[begin : begin + prompt_length].tobytes()
        bundles.setdefault((row // group_size, prompt), []).append(segment)
    return list(bundles.values())
