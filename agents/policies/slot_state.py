"""The recurrent state of a transformer policy: its KV caches, one slot per row.

Shape letters: N rows, L observation width, D model width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th

from textgym.models.decoding import open_decoder


class SlotState:
    """KV caches of N rows, passed in and out of `predict` and `forward` like an LSTM's state.

    What a slot holds is compared with each observation, so a state can never be wrong for one: a
    row that started anew, or whose weights changed since, is computed again.

    Attributes:
        num_rows: N.
        width: Longest observation in tokens.
        prompt_lengths: (N,) int64, where each row's response begins, as far as observations show.
        is_plain: Whether it was made with the policy's adapter off.
        has_values: Whether a step through it gives values.
    """

    def __init__(
        self,
        language_model: Any,
        value_model: Any | None,
        num_rows: int,
        width: int,
        decode: str = "auto",
        *,
        with_values: bool = True,
    ) -> None:
        """Make empty slots for the language model and, where it is separate, the value model.

        Without values a separate value model gets none: its values are had cheaper from whole
        sequences afterwards, and choosing actions needs none.

        Raises:
            ValueError: See `open_decoder`.
        """
        self.num_rows = num_rows
        self.width = width
        self.is_plain = False
        self.has_values = with_values or value_model is None
        self._decoder = open_decoder(language_model, num_rows, width, decode)
        self._value_decoder = (
            open_decoder(value_model, num_rows, width, decode)
            if value_model is not None and with_values
            else None
        )

    def advance(
        self, ids: np.ndarray, lengths: np.ndarray, weights_version: int
    ) -> tuple[th.Tensor, th.Tensor | None]:
        """Bring every slot up to its observation.

        Args:
            ids: (N, L) int64, `lengths` of each row filled.
            lengths: (N,) int64, at least 1.
            weights_version: Slots filled under another version are computed again.

        Returns:
            The last hidden states (N, D) of the language model and of the value model (the same
            tensor where they share one trunk, None where the value model has no slots here).
        """
        hidden = self._decoder.advance(ids, lengths, weights_version=weights_version)
        if self._value_decoder is None:
            return hidden, hidden if self.has_values else None
        return hidden, self._value_decoder.advance(ids, lengths, weights_version=weights_version)

    def offer(self, tokens: th.Tensor, known: np.ndarray) -> None:
        """Keep tokens that are on the device already, in case the next observations end with them.

        Args:
            tokens: (N,) int64 on the device.
            known: (N,) int64, the same on the host.
        """
        self._decoder.offer(tokens, known)
        if self._value_decoder is not None:
            self._value_decoder.offer(tokens, known)

    def logits(self, hidden: th.Tensor) -> th.Tensor:
        """Give the (N, V) float32 logits of hidden states (N, D)."""
        return self._decoder.logits(hidden)

    @property
    def prompt_lengths(self) -> np.ndarray:
        """(N,) int64; see the class."""
        return np.asarray(self._decoder.prompt_lengths)
