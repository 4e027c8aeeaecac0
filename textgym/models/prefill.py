"""How rows that miss several tokens are grouped into forwards. NumPy only.

Shape letters: R rows asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# A forward costs about as much overhead as this many padded tokens of a small model.
PADDING_PER_GROUP = 96
# Bounds the activations of one forward.
TOKENS_PER_GROUP = 8192


@dataclass
class PrefillGroup:
    """Rows that share one forward.

    Attributes:
        members: Indices in [0, R) of the rows that are computed.
        copies: Pairs (member, other index): the other row asks for the same ids and gets a copy.
    """

    members: list[int] = field(default_factory=list)
    copies: list[tuple[int, int]] = field(default_factory=list)


def group_prefills(
    ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, wanted: np.ndarray
) -> list[PrefillGroup]:
    """Deal rows into groups of similar missing length, identical rows from the start only once.

    Rows that start at 0 never share a group with rows that continue a slot.

    Args:
        ids: (R, L) int64.
        starts: (R,) first token that is missing.
        lengths: (R,) tokens in all.
        wanted: Indices of the rows to deal.
    """
    groups = []
    fresh, twins = _without_twins(ids, lengths, wanted[starts[wanted] == 0])
    for members in (fresh, wanted[starts[wanted] > 0]):
        groups.extend(_by_length(members, (lengths - starts)))
    for group in groups:
        group.copies = [(m, other) for m in group.members for other in twins.get(m, ())]
    return groups


def _without_twins(
    ids: np.ndarray, lengths: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, dict[int, list[int]]]:
    first: dict[bytes, int] = {}
    twins: dict[int, list[int]] = {}
    for row in rows.tolist():
        representative = first.setdefault(ids[row, : lengths[row]].tobytes(), row)
        if representative != row:
            twins.setdefault(representative, []).append(row)
    return np.array(list(first.values()), dtype=np.int64), twins


def _by_length(rows: np.ndarray, missing: np.ndarray) -> list[PrefillGroup]:
    groups: list[PrefillGroup] = []
    longest = padding = 0
    for row in rows[np.argsort(-missing[rows], kind="stable")].tolist():
        gap = longest - int(missing[row])
        is_full = not groups or (len(groups[-1].members) + 1) * longest > TOKENS_PER_GROUP
        if is_full or padding + gap > PADDING_PER_GROUP:
            groups.append(PrefillGroup())
            longest, padding, gap = int(missing[row]), 0, 0
        groups[-1].members.append(row)
        padding += gap
    return groups
