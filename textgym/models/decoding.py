"""Which decoder serves a model: slots where its states can be kept per row, else full forwards.

Shape letters: N rows, R rows asked for, L width of the ids, D width of the hidden states.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from textgym.models.length_groups import groups_by_length, padding_on, tokens_on
from textgym.models.selected_states import selected_states
from textgym.models.slot_decoder import SlotDecoder
from textgym.models.token_step import STEP_KINDS
from textgym.models.trunk import (
    TOLERANCE,
    CannotKeepSlots,
    check_positions,
    hidden_states,
    trunk_and_head,
)

DECODES = ("auto", *STEP_KINDS, "full")


def open_decoder(model: Any, num_rows: int, width: int, decode: str = "auto") -> SlotDecoder:
    """Return what computes the last hidden states of N growing sequences.

    Args:
        model: A Hugging Face causal LM, on its device and in its dtype.
        num_rows: N, at least 1.
        width: Longest sequence in tokens, at least 1.
        decode: "full" reads every sequence anew at each step; one of `STEP_KINDS` keeps slots, see
            `SlotDecoder`; "auto" keeps slots where the model can be served so, and else warns and
            reads anew: correct for any causal model, and slower by the length of the sequences.

    Raises:
        ValueError: An unknown `decode`, or a model that cannot be served so; the message names it.
    """
    if decode not in DECODES:
        raise ValueError(f"decode must be one of {DECODES}, got {decode!r}")
    if decode == "full":
        return FullDecoder(model, num_rows, width)
    try:
        return SlotDecoder(model, num_rows, width, step=decode)
    except CannotKeepSlots as error:
        if decode != "auto":
            raise
        warnings.warn(
            f"{error}; every step reads whole sequences instead, which is slower",
            RuntimeWarning,
            stacklevel=2,
        )
        return FullDecoder(model, num_rows, width)


class FullDecoder(SlotDecoder):
    """The same answers without a cache: a sequence that changed is read from its beginning."""

    def __init__(self, model: Any, num_rows: int, width: int) -> None:
        """Serve a causal language model; see `SlotDecoder`.

        Raises:
            ValueError: Too few positions, or padding behind a sequence changes its states.
        """
        check_positions(model, width)
        self._trunk, self._head = trunk_and_head(model)
        self._allocate(model.config, num_rows, width)
        self._check_padding(model)

    def _compute(
        self,
        ids: np.ndarray,
        starts: np.ndarray,
        lengths: np.ndarray,
        missing: np.ndarray,
        where: np.ndarray,
    ) -> None:
        hidden = self._hidden.clone()
        changed = np.flatnonzero(missing)
        kind = self._device.type
        for group in groups_by_length(lengths[changed], tokens_on(kind), padding_on(kind)):
            members = changed[group]
            width = int(lengths[members].max())
            # Empty cells may hold a marker that is no token.
            is_token = np.arange(width) < lengths[members, None]
            tokens = self._send(np.where(is_token, ids[members, :width], 0))
            last = self._send(lengths[members] - 1)
            rows = torch.arange(len(members), device=self._device)
            states = selected_states(self._trunk, tokens, rows, last)
            hidden[self._send(where[members])] = states.to(self._dtype)
        self._hidden = hidden

    @torch.no_grad()
    def _check_padding(self, model: Any) -> None:
        """Compare a short sequence alone and beside a longer one, once per decoder."""
        ids = torch.tensor([[1, 2, 0, 0], [2, 3, 1, 2]], device=self._device)
        ids %= len(model.get_input_embeddings().weight)
        with torch.autocast(self._device.type, enabled=False):
            padded = hidden_states(self._trunk, ids)[0, 1].float()
            alone = hidden_states(self._trunk, ids[:1, :2])[0, 1].float()
        tolerance = TOLERANCE if self._dtype in (torch.float32, torch.float64) else 0.1
        difference = (padded - alone).abs().max()
        if not difference <= tolerance * alone.abs().max():
            raise ValueError(
                f"{type(model).__name__} {model.name_or_path!r} is not causal: padding behind a "
                f"sequence changes its states (difference {float(difference):.2g})"
            )
