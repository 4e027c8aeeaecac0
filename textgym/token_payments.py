"""Learned rewards paid token by token, in the step that writes the token.

Shape letters: N rows, L width, T longest response.
"""

from __future__ import annotations

import numpy as np

from textgym.mdp_rows import MDPRows
from textgym.rewards.token_level import StepRewards, TokenPart


class TokenPayments:
    """Reads each new token once and remembers, in the rows, what the earlier ones were worth."""

    def __init__(self, tokens: TokenPart, num_rows: int, width: int) -> None:
        """Pay for N rows of width L.

        Raises:
            ValueError: The reward does not read the environment's own tokens.
        """
        self._tokens = tokens
        self._steps: StepRewards = tokens.reward.new_steps(num_rows, width)

    def step(self, rows: MDPRows, acting: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Read the tokens that a step wrote and fill `rows.token_rewards`.

        Args:
            rows: The state after the tokens were written.
            acting: (N,) bool, rows that wrote one; None for all.

        Returns:
            (N,) float64 rewards of the tokens and (N,) float64 what they are paid, both 0 where a
            row did not act.

        Raises:
            ValueError: A reward that is NaN or infinite.
        """
        found = np.asarray(self._steps.rewards(rows.ids, rows.lengths), dtype=np.float64)
        index = np.arange(len(rows)) if acting is None else np.flatnonzero(acting)
        rewards, paid = np.zeros(len(rows)), np.zeros(len(rows))
        rewards[index] = found[index]
        cells = rows.num_actions[index] - 1
        rows.token_rewards[index, cells] = found[index]
        self._recall(rows, index)
        is_earlier = np.arange(rows.token_rewards.shape[1]) < cells[:, None]
        earlier = np.where(is_earlier, rows.token_rewards[index], 0.0).sum(axis=1)
        paid[index] = self._tokens.payment(found[index], earlier, cells)
        return rewards, paid

    def _recall(self, rows: MDPRows, index: np.ndarray) -> None:
        """Read earlier tokens that were written while rewards were withheld and never settled."""
        is_earlier = np.arange(rows.token_rewards.shape[1]) < rows.num_actions[index, None] - 1
        lacking = index[(np.isnan(rows.token_rewards[index]) & is_earlier).any(axis=1)]
        if not lacking.size:
            return
        sequences = [rows.sequence(int(row)) for row in lacking]
        for row, values in zip(lacking, self._tokens.reward.token_rewards(sequences), strict=True):
            rows.token_rewards[row, : len(values) - 1] = values[:-1]
