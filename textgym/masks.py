"""Which actions a row allows: pure functions of the row.

Shape letters: R rows, L width, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

MaskFn = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class MinNewTokensMask:
    """Forbids the end tokens before a response has its least length."""

    def __init__(
        self, min_new_tokens: int, action_tokens: np.ndarray, eos_ids: Sequence[int]
    ) -> None:
        """Mark the actions that end: those whose token is in `eos_ids`."""
        self._min_new_tokens = min_new_tokens
        self._ends = np.isin(action_tokens, list(eos_ids))

    def __call__(
        self, ids: np.ndarray, lengths: np.ndarray, prompt_lengths: np.ndarray
    ) -> np.ndarray:
        """Return (R, A) bool, True where the action is allowed."""
        is_early = np.asarray(lengths) - np.asarray(prompt_lengths) < self._min_new_tokens
        return ~(is_early[:, None] & self._ends[None, :])


class AllOfMask:
    """Allows what every one of several masks allows."""

    def __init__(self, masks: Sequence[MaskFn]) -> None:
        """Combine `masks`."""
        self._masks = tuple(masks)

    def __call__(
        self, ids: np.ndarray, lengths: np.ndarray, prompt_lengths: np.ndarray
    ) -> np.ndarray:
        """Return (R, A) bool, True where the action is allowed."""
        allowed = self._masks[0](ids, lengths, prompt_lengths)
        for mask in self._masks[1:]:
            allowed = allowed & mask(ids, lengths, prompt_lengths)
        return allowed


class CheckedMask:
    """A user's mask, its result checked at each call.

    It must allow something in every row, ended ones included: rows that wait are asked about too.
    """

    def __init__(self, mask: MaskFn, name: str, num_actions: int) -> None:
        """Wrap `mask`; `name` is how messages call it."""
        self._mask, self._name, self._num_actions = mask, name, num_actions

    def __call__(
        self, ids: np.ndarray, lengths: np.ndarray, prompt_lengths: np.ndarray
    ) -> np.ndarray:
        """Return (R, A) bool, True where the action is allowed.

        Raises:
            ValueError: A wrong shape or dtype, or a row that allows nothing.
        """
        allowed = np.asarray(self._mask(ids, lengths, prompt_lengths))
        expected = (len(lengths), self._num_actions)
        if allowed.shape != expected or allowed.dtype != np.bool_:
            raise ValueError(
                f"action mask {self._name!r} must return bool of shape {expected}, "
                f"got {allowed.dtype} of shape {allowed.shape}"
            )
        stuck = np.flatnonzero(~allowed.any(axis=1))
        if stuck.size:
            raise ValueError(
                f"action mask {self._name!r} allows no action in row {int(stuck[0])} of length "
                f"{int(lengths[stuck[0]])}; expected at least one"
            )
        return allowed


def combine_masks(masks: Sequence[MaskFn]) -> MaskFn | None:
    """Return one mask for several, None for none."""
    if not masks:
        return None
    return masks[0] if len(masks) == 1 else AllOfMask(masks)
