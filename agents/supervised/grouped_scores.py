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
    packed_token_scores,
    packing_is_exact,
    token_cells,
)
from textgym.agents.supervised.scoring_head import raw_scores, token_scores

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

    def __init__(
        self,
        model: Any,
        groups: Sequence[Sequence[TokenIds]],
        *,
        starts: Sequence[int] = (),
        token_aggregate: str | None = None,
    ) -> None:
        """Take a one-label classifier and the groups.

        Args:
            model: The classifier.
            groups: Each of at least one sequence.
            starts: Where each group's responses begin; needed with `token_aggregate`.
            token_aggregate: "mean" or "sum" of the numbers at a response's tokens; None: the
                number at the last token.
        """
        self._model, self.groups = model, groups
        self._starts, self._aggregate = starts, token_aggregate
        largest = sorted(range(len(groups)), key=lambda g: -len(groups[g]))[:_TRIED]
        self.is_packed = packing_is_exact(model, [groups[g] for g in largest])
        self.costs = np.array([self._cost(group) for group in groups], dtype=np.int64)

    def __call__(self, items: np.ndarray) -> Tensor:
        """Return the raw scores of the sequences of some groups, one group after the other."""
        groups = [self.groups[item] for item in items]
        sequences = [ids for group in groups for ids in group]
        if self._aggregate is None:
            if self.is_packed:
                return packed_scores(self._model, pack(groups))
            return raw_scores(self._model, sequences)
        starts = [self._starts[item] for item in items]
        if self.is_packed:
            cells = token_cells(groups, starts)
            return packed_token_scores(self._model, pack(groups), cells, self._aggregate)
        each = [start for start, group in zip(starts, groups, strict=True) for _ in group]
        return token_scores(self._model, sequences, each, self._aggregate)

    def _cost(self, sequences: Sequence[TokenIds]) -> int:
        if self.is_packed:
            return packed_length(sequences)
        return len(sequences) * max(len(ids) for ids in sequences)
