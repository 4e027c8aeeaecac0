"""How rows of different lengths are grouped into forwards. NumPy only.

Shape letters: R rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# Bounds the activations of one forward. On a CPU they should stay in its caches: 1,024 took a fifth
# less time than 8,192 with models of 1, 14 and 124 million weights.
CPU_TOKENS = 1024
ACCELERATOR_TOKENS = 8192
# How many padded tokens cost about as much as one more forward: a small model on a CPU pays per
# token, an accelerator per launch.
CPU_PADDING = 96
ACCELERATOR_PADDING = 4096


@dataclass
class PrefillGroup:
    """Rows that share one forward.

    Attributes:
        members: Indices in [0, R) of the rows that are computed.
        copies: Member to the other indices that ask for the same ids: they get copies.
    """

    members: np.ndarray
    copies: dict[int, list[int]] = field(default_factory=dict)


def padding_on(device_type: str) -> int:
    """Return the padded tokens worth one more forward on a kind of device."""
    return CPU_PADDING if device_type == "cpu" else ACCELERATOR_PADDING


def tokens_on(device_type: str) -> int:
    """Return the most padded tokens of one forward on a kind of device."""
    return CPU_TOKENS if device_type == "cpu" else ACCELERATOR_TOKENS


def groups_by_length(
    lengths: np.ndarray, token_budget: int = CPU_TOKENS, padding: int = CPU_PADDING
) -> list[np.ndarray]:
    """Deal rows into groups of similar length, longest first.

    Args:
        lengths: (R,) tokens of each row.
        token_budget: Most padded tokens in a group of more than one row.
        padding: Most tokens of padding in a group.

    Returns:
        Groups as (…,) int64 indices in [0, R); every row is in exactly one.
    """
    groups: list[list[int]] = []
    longest = padded = 0
    for row in np.argsort(-lengths, kind="stable").tolist():
        gap = longest - int(lengths[row])
        is_full = not groups or (len(groups[-1]) + 1) * longest > token_budget
        if is_full or padded + gap > padding:
            groups.append([])
            longest, padded, gap = int(lengths[row]), 0, 0
        groups[-1].append(row)
        padded += gap
    return [np.array(group, dtype=np.int64) for group in groups]


def group_prefills(
    ids: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    wanted: np.ndarray,
    device_type: str = "cpu",
) -> list[PrefillGroup]:
    """Deal rows into groups of similar missing length, identical rows from the start only once.

    Rows that start at 0 never share a group with rows that continue a slot.

    Args:
        ids: (R, L) int64.
        starts: (R,) first token that is missing.
        lengths: (R,) tokens in all.
        wanted: Indices of the rows to deal.
        device_type: Where the forwards run.
    """
    groups: list[PrefillGroup] = []
    missing = lengths - starts
    fresh, twins = _without_twins(ids, lengths, wanted[starts[wanted] == 0])
    for rows in (fresh, wanted[starts[wanted] > 0]):
        dealt = groups_by_length(missing[rows], tokens_on(device_type), padding_on(device_type))
        groups.extend(PrefillGroup(members=rows[group]) for group in dealt)
    for group in groups:
        members = group.members.tolist()
        group.copies = {member: twins[member] for member in members if member in twins}
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
