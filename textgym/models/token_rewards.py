"""A reward model's number at the last token of sequences that grow by one token a step.

Shape letters: N rows, L width of the ids, T tokens, D width of the hidden states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from textgym.models.decoding import open_decoder
from textgym.models.slot_decoder import SlotDecoder
from textgym.models.trunk import hidden_states


@dataclass(frozen=True)
class _Logits:
    """What a causal language model returns, as far as decoders look."""

    logits: torch.Tensor


class _OneLogit:
    """A one-label classifier in the shape of a causal language model with one output."""

    def __init__(self, classifier: Any, head: torch.nn.Module) -> None:
        self.base_model, self._head = classifier.base_model, head
        self.config, self.name_or_path = classifier.config, classifier.name_or_path
        self.device = classifier.device
        self.get_input_embeddings = classifier.get_input_embeddings

    def get_output_embeddings(self) -> torch.nn.Module:
        return self._head

    def __call__(self, input_ids: torch.Tensor, use_cache: bool = False) -> _Logits:
        del use_cache
        return _Logits(self._head(hidden_states(self.base_model, input_ids)))


class TokenSteps:
    """Reads each new token once: a cache per row, as `SlotDecoder` keeps it."""

    def __init__(
        self,
        classifier: Any,
        head: torch.nn.Module,
        scale: tuple[float, float],
        num_rows: int,
        width: int,
    ) -> None:
        """Read `classifier` where its weights lie; slots are taken at the first step.

        Args:
            classifier: A one-label sequence classifier, in eval mode.
            head: Its linear head, (…, D) to (…, 1).
            scale: Gain and bias.
            num_rows: N.
            width: L, longest sequence in tokens.
        """
        self._model, self._head = _OneLogit(classifier, head), head
        self._gain, self._bias = scale
        self._num_rows, self._width = num_rows, width
        self._decoder: SlotDecoder | None = None

    @torch.inference_mode()
    def rewards(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return `gain * logit + bias` at `lengths - 1` of each row, (N,) float32.

        Args:
            ids: (N, L) int64; what lies behind a row's length is not looked at.
            lengths: (N,) int64, at least 1.
        """
        if self._decoder is None:
            self._decoder = open_decoder(self._model, self._num_rows, self._width)
        logits = self._head(self._decoder.advance(ids, lengths))[:, 0].float().cpu().numpy()
        return np.float32(self._gain) * logits + np.float32(self._bias)
