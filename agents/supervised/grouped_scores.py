"""Raw scores of sequences that come in groups of one prompt, which is encoded once if possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from textgym.agents.supervised.packed_sequences import (
    pack,
    packed_length,
    packed_scores,
    packing_is_exact,
)
from textgym.agents.supervised.scoring_head import raw_scores

TokenIds = tuple[int, ...]
_TRIED = 4  # groups on which packing is tried


class GroupedScores:
    """Scores groups of sequences with a common beginning.

    Where the architecture allows it (tried on the largest groups) the sequences of a group share
    one row, so that their beginning is computed once.

    Attributes:
        groups: The sequences of each group, all different.
        is_packed: Whether groups share rows.
        costs: (G,) int64, padded tokens that each group takes alone.
    """

    def __init__(self, model: Any, groups: Sequence[Sequence[TokenIds]]) -> None:
        """Take a one-label classifier and the groups, each of at least one sequence."""
        self._model, self.groups = model, groups
        largest = sorted(range(len(groups)), key=lambda g: -len(groups[g]))[:_TRIED]
        self.is_packed = packing_is_exact(model, [groups[g] for g in largest])
        self.costs = np.array([self._cost(group) for group in groups], dtype=np.int64)

    def __call__(self, items: np.ndarray) -> Tensor:
        """Return the raw scores of the sequences of some groups, one group after the other."""
        groups = [self.groups[item] for item in items]
        if self.is_packed:
            return packed_scores(self._model, pack(groups))
        return raw_scores(self._model, [ids for group in groups for ids in group])

    def _cost(self, sequences: Sequence[TokenIds]) -> int:
        if self.is_packed:
            return packed_length(sequences)
        return len(sequences) * max(len(ids) for ids in sequences)
