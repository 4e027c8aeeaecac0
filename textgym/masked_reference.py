"""The reference under the task's mask.

Shape letters: N rows, A actions, K actions of a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textgym.masks import MaskFn
from textgym.mdp_rows import MDPRows
from textgym.reference import Reference, ResponseSequence


class MaskedReference:
    """Asks the reference with the masks of the states, which are built again, never stored."""

    def __init__(
        self, reference: Reference, mask_fn: MaskFn | None, width: int, vocab_size: int
    ) -> None:
        """Keep the parts; `vocab_size` fills the empty cells of states."""
        self._reference, self._mask_fn = reference, mask_fn
        self._width, self._vocab_size = width, vocab_size

    def step_log_probs(
        self,
        rows: MDPRows,
        actions: np.ndarray,
        allowed: np.ndarray | None,
        acting: np.ndarray | None,
        temperature: float,
    ) -> np.ndarray:
        """Return log pi_ref of one action per row, (N,) float64, nats; 0 where a row waits."""
        log_probs = np.asarray(
            self._reference.step_log_probs(
                rows.ids, rows.lengths, actions, allowed=allowed, temperature=temperature
            ),
            dtype=np.float64,
        )
        return log_probs if acting is None else np.where(acting, log_probs, 0.0)

    def sequence_log_probs(
        self, sequences: Sequence[ResponseSequence], temperature: float
    ) -> list[np.ndarray]:
        """Return log pi_ref of every action of each sequence, (K,) float64 each, nats."""
        allowed_of = None if self._mask_fn is None else self._allowed_along
        return self._reference.sequence_log_probs(
            sequences, temperature=temperature, allowed_of=allowed_of
        )

    def _allowed_along(self, sequence: ResponseSequence) -> np.ndarray:
        assert self._mask_fn is not None
        positions = np.asarray(sequence.action_positions)
        states = np.full((len(positions), self._width), self._vocab_size, dtype=np.int64)
        for state, position in zip(states, positions, strict=True):
            state[:position] = sequence.ids[:position]
        prompt_lengths = np.full(len(positions), sequence.prompt_length, dtype=np.int64)
        return self._mask_fn(states, positions, prompt_lengths)
