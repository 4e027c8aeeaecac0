"""Where a whole message would end its turn, before any of it is written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textgym.action_checks import checked_actions, require_allowed
from textgym.mdp_rows import MDPRows
from textgym.task import TextTask
from textgym.turn_taking import turn_end_of


class TurnPreview:
    """Writes messages on copies of a row; nobody is asked, nothing is scored."""

    def __init__(self, task: TextTask) -> None:
        """Take what says which actions are allowed and where a turn ends."""
        self._task = task
        self._turn_end = turn_end_of(task)

    def length(self, state: MDPRows, actions: Sequence[int]) -> int | None:
        """Return how many of the actions the turn takes, None where they leave it open.

        Args:
            state: One row that goes on, unchanged by this.
            actions: Integers in [0, A).

        Raises:
            ValueError: One that the turn takes is outside or masked.
        """
        task, row = self._task, np.zeros(1, dtype=np.int64)
        written = state.copy_of(row)
        for count, action in enumerate(actions, start=1):
            chosen = checked_actions(np.array([action]), len(task.action_tokens))
            if task.mask_fn is not None:
                allowed = task.mask_fn(written.ids, written.lengths, written.prompt_lengths)
                require_allowed(allowed, chosen)
            tokens = task.action_tokens[chosen]
            written.write(row, tokens)
            if self._turn_end.reasons(written, tokens, None):
                return count
        return None
