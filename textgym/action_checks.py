"""What is said of actions that cannot be written. Shape letters: N rows, A actions."""

from __future__ import annotations

import numpy as np


def checked_actions(
    actions: np.ndarray, num_actions: int, acting: np.ndarray | None = None
) -> np.ndarray:
    """Return the actions (N,), 0 for rows that wait.

    Args:
        actions: (N,) integers.
        num_actions: A.
        acting: (N,) bool, False for rows that wait; None where all act.

    Raises:
        ValueError: One lies outside [0, A).
    """
    if acting is not None:
        actions = np.where(acting, actions, 0)
    if actions.min() < 0 or actions.max() >= num_actions:
        row = int(np.flatnonzero((actions < 0) | (actions >= num_actions))[0])
        raise ValueError(
            f"action must lie in [0, {num_actions}), got {int(actions[row])} in row {row}"
        )
    return actions


def require_allowed(
    allowed: np.ndarray, actions: np.ndarray, acting: np.ndarray | None = None
) -> None:
    """Refuse actions that a mask forbids.

    Args:
        allowed: (N, A) bool.
        actions: (N,) integers in [0, A).
        acting: As in `checked_actions`.

    Raises:
        ValueError: One is masked.
    """
    is_refused = ~allowed[np.arange(len(actions)), actions]
    if acting is not None:
        is_refused &= acting
    if is_refused.any():
        row = int(np.flatnonzero(is_refused)[0])
        raise ValueError(
            f"action {int(actions[row])} is masked in row {row}; expected one that "
            f"action_masks() allows"
        )
