"""Which packed segments go through one forward, and whether they share their prompts' part of it.

Shape letters: S segments, W their padded width, R segments of a micro-batch, U different prompts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from textgym.agents.supervised.token_batches import sorted_batches

# Two forwards for one pay from about this share of the tokens on.
WORTHWHILE = 0.85
# A row that reads behind a shared prompt still holds its own copy of the prompt's keys and values,
# about an eighth of what the backward pass keeps of a token that is computed.
ROW_TOKENS_PER_BUDGET = 8


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Segments of one forward.

    Attributes:
        segments: (R,) indices in [0, S).
        owners: (R,) int64 in [0, U), the prompt of each, where prompts are read once; else None.
    """

    segments: np.ndarray
    owners: np.ndarray | None = None


def deal_micro_batches(
    ids: np.ndarray,
    lengths: np.ndarray,
    prompt_lengths: np.ndarray,
    token_budget: int,
    can_share: Callable[[], bool] = lambda: True,
) -> list[MicroBatch]:
    """Deal segments into forwards, those with the same prompt together where that saves tokens.

    Args:
        ids: (S, W) int64.
        lengths: (S,) tokens that are read of each segment.
        prompt_lengths: (S,) tokens of its prompt.
        token_budget: Padded tokens of one forward; a longer segment goes alone. Prompts that are
            shared count once, up to `ROW_TOKENS_PER_BUDGET` times as many tokens of whole rows.
        can_share: Whether prompts may be shared; asked only where it would save enough.
    """
    families = prompt_families(ids, prompt_lengths)
    _, first = np.unique(families, return_index=True)
    heads, tails = prompt_lengths - 1, lengths - prompt_lengths + 1
    shared = int(heads[first].sum() + tails.sum())
    is_possible = len(first) < len(lengths) and heads.min() > 0 and tails.min() > 0
    if not (is_possible and is_worthwhile(shared, int(lengths.sum())) and can_share()):
        return [MicroBatch(segments=rows) for rows in sorted_batches(lengths, token_budget)]
    batches = _with_shared_prompts(families, heads, tails, token_budget)
    return [
        MicroBatch(segments=rows, owners=np.unique(families[rows], return_inverse=True)[1])
        for rows in batches
    ]


def is_worthwhile(shared: float, plain: float) -> bool:
    """Whether reading shared prompts once, `shared` tokens in all, beats reading `plain` ones."""
    return shared <= WORTHWHILE * plain


def prompt_families(ids: np.ndarray, prompt_lengths: np.ndarray) -> np.ndarray:
    """Return for each segment the index of the first one with the same prompt, (S,) int64."""
    seen: dict[bytes, int] = {}
    prompts = (ids[i, :length].tobytes() for i, length in enumerate(prompt_lengths.tolist()))
    return np.array([seen.setdefault(prompt, i) for i, prompt in enumerate(prompts)], np.int64)


def _with_shared_prompts(
    families: np.ndarray, heads: np.ndarray, tails: np.ndarray, budget: int
) -> list[np.ndarray]:
    """Cut segments, sorted by prompt, where the padded size would pass the budget."""
    batches: list[list[int]] = []
    longest_head = longest_tail = num_prompts = 0
    for row in np.lexsort((tails, families, heads)).tolist():
        is_new = not batches or families[batches[-1][-1]] != families[row]
        longest_head = max(longest_head, int(heads[row]))
        longest_tail = max(longest_tail, int(tails[row]))
        num_prompts += is_new
        count = 1 + (len(batches[-1]) if batches else 0)
        read, held = num_prompts * longest_head, count * (longest_head + longest_tail)
        is_over = read + count * longest_tail > budget or held > ROW_TOKENS_PER_BUDGET * budget
        if not batches or is_over:
            batches.append([])
            longest_head, longest_tail, num_prompts = int(heads[row]), int(tails[row]), 1
        batches[-1].append(row)
    return [np.array(batch, np.int64) for batch in batches]
