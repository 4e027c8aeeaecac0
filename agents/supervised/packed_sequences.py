"""Several continuations of one beginning in one row: the beginning is computed once.

A row holds the common beginning, then each continuation. A mask lets every continuation see the
beginning and itself, positions go on from the beginning, so the states equal those of separate
rows. Shape letters: B rows, T width of a row, R sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textgym.agents.supervised.scoring_head import raw_scores, scores_of_cells

TokenIds = tuple[int, ...]
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class PackedRows:
    """A batch of packed rows.

    Attributes:
        ids: (B, T) int64.
        positions: (B, T) int64, place of each token in its own sequence.
        parts: (B, T) int64: 0 in the beginning, 1, 2, … in the continuations, -1 in empty cells.
        ends: (R, 2) int64, row and column of each sequence's last token, in the order given.
    """

    ids: Tensor
    positions: Tensor
    parts: Tensor
    ends: Tensor


def common_beginning(sequences: Sequence[TokenIds]) -> int:
    """Number of leading tokens that all share, at least one token left over for each."""
    shortest = min(len(sequence) for sequence in sequences)
    for place in range(shortest - 1):
        if len({sequence[place] for sequence in sequences}) > 1:
            return place
    return shortest - 1


def packed_length(sequences: Sequence[TokenIds]) -> int:
    """Tokens of the row that holds all sequences."""
    shared = common_beginning(sequences)
    return shared + sum(len(sequence) - shared for sequence in sequences)


def pack(groups: Sequence[Sequence[TokenIds]]) -> PackedRows:
    """Pack each group of sequences into a row; sequences are numbered group by group."""
    width = max(packed_length(group) for group in groups)
    ids, positions = np.zeros((2, len(groups), width), dtype=np.int64)
    parts = np.full((len(groups), width), -1, dtype=np.int64)
    ends = []
    for row, group in enumerate(groups):
        shared = at = common_beginning(group)
        ids[row, :shared], positions[row, :shared] = group[0][:shared], range(shared)
        parts[row, :shared] = 0
        for part, sequence in enumerate(group, start=1):
            cells = slice(at, at + len(sequence) - shared)
            ids[row, cells], positions[row, cells] = sequence[shared:], range(shared, len(sequence))
            parts[row, cells] = part
            at = cells.stop
            ends.append((row, at - 1))
    return PackedRows(*map(torch.from_numpy, (ids, positions, parts, np.array(ends))))


def token_cells(groups: Sequence[Sequence[TokenIds]], starts: Sequence[int]) -> np.ndarray:
    """Where `pack` puts the tokens of each sequence from its group's start on.

    Args:
        groups: As `pack` is given.
        starts: For each group the place of the first token that counts, below every length.

    Returns:
        (K, 3) int64: number of the sequence, row, column.
    """
    cells = []
    number = 0
    for row, (group, start) in enumerate(zip(groups, starts, strict=True)):
        shared = at = common_beginning(group)
        for sequence in group:
            for place in range(start, len(sequence)):
                column = place if place < shared else at + place - shared
                cells.append((number, row, column))
            at += len(sequence) - shared
            number += 1
    return np.array(cells, dtype=np.int64)


def packed_scores(model: Any, packed: PackedRows) -> Tensor:
    """Raw score of each sequence, (R,) float32; see `scoring_head.raw_scores`."""
    ends = packed.ends.to(model.device)
    hidden = _packed_states(model, packed)
    return model.score(hidden[ends[:, 0], ends[:, 1]]).squeeze(-1).float()


def packed_token_scores(
    model: Any, packed: PackedRows, cells: np.ndarray, aggregate: str
) -> Tensor:
    """Mean or sum over each sequence's cells, (R,) float32; see `scores_of_cells`."""
    return scores_of_cells(model, _packed_states(model, packed), cells, aggregate)


def _packed_states(model: Any, packed: PackedRows) -> Tensor:
    """Return the last hidden states of packed rows, (B, T, D)."""
    device = model.device
    parts = packed.parts.to(device)
    is_seen = (parts[:, None, :] == 0) | (parts[:, None, :] == parts[:, :, None])
    states: Tensor = model.base_model(
        input_ids=packed.ids.to(device),
        attention_mask=is_seen.tril()[:, None],
        position_ids=packed.positions.to(device),
        use_cache=False,
    ).last_hidden_state
    return states


def packing_is_exact(model: Any, groups: Sequence[Sequence[TokenIds]]) -> bool:
    """Whether the model gives packed and separate sequences the same scores, tried on `groups`.

    It does not where layers see a window only, or where it makes positions or masks of its own.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        separate = raw_scores(model, [sequence for group in groups for sequence in group])
        try:
            together = packed_scores(model, pack(groups))
        except (TypeError, ValueError, RuntimeError, IndexError):
            return False
    model.train(was_training)
    scale = separate.abs().max().clamp_min(1.0)
    return bool((separate - together).abs().max() <= _TOLERANCE * scale)
