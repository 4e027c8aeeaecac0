"""A frozen causal language model as the reference policy. Shape letters as in `reference`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from textgym.models.decoding import open_decoder
from textgym.models.float32_head import float32_head
from textgym.models.loading import check_vocabulary_size, load_causal_lm
from textgym.models.sampling import action_logits, check_allowed, log_probs_of
from textgym.models.slot_decoder import SlotDecoder
from textgym.models.teacher_forcing import sequence_log_probs
from textgym.models.trunk import head_place, trunk_and_head
from textgym.reference import AllowedOf, ResponseSequence


class CausalLMReference:
    """pi_ref = softmax(z / temperature) over the allowed actions of a causal language model.

    Stepwise calls keep a cache per row and compute only new tokens; whole sequences take one
    batched forward per group of similar length. The weights are shared with every other user of
    the same folder in this process and never change.
    """

    def __init__(
        self,
        path: str | Path,
        num_rows: int,
        width: int,
        action_tokens: np.ndarray | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
        *,
        num_actions: int | None = None,
        token_budget: int | None = None,
    ) -> None:
        """Load the model; slots for stepwise calls are taken at the first of them.

        Args:
            path: Folder or hub name.
            num_rows: N, rows of `step_log_probs`.
            width: L, longest state in tokens.
            action_tokens: (A,) int64, the token of each action; None where action i is token i.
            device: As `resolve_device`.
            dtype: As `resolve_dtype`; log-probabilities are float32 arithmetic in any case.
            num_actions: A where `action_tokens` is None: cuts the padding of the vocabulary off.
            token_budget: Most padded tokens in one forward over whole sequences; None: by
                the kind of device.

        Raises:
            ValueError: A model that cannot be loaded, split or kept per row, or with too few rows
                for the actions.
        """
        self.model = load_causal_lm(path, device=device, dtype=dtype)
        self._trunk, head = trunk_and_head(self.model)
        self._head = float32_head(head)
        top = num_actions if action_tokens is None else int(np.max(action_tokens)) + 1
        check_vocabulary_size(self.model, top or 0)
        self._num_rows, self._width = num_rows, width
        self._action_tokens = action_tokens
        self._num_actions = num_actions
        self._token_budget = token_budget
        self._decoder: SlotDecoder | None = None

    @torch.inference_mode()
    def step_log_probs(
        self,
        ids: np.ndarray,
        lengths: np.ndarray,
        actions: np.ndarray,
        allowed: np.ndarray | None = None,
        temperature: float = 1.0,
    ) -> np.ndarray:
        """See `Reference.step_log_probs`."""
        if self._decoder is None:
            self._decoder = open_decoder(self.model, self._num_rows, self._width)
        if allowed is not None:
            check_allowed(allowed)
        device, _ = head_place(self._head)
        hidden = self._decoder.advance(ids, lengths)
        logits = action_logits(
            self._head(hidden),
            None if self._action_tokens is None else self._tokens_on(device),
            None if allowed is None else torch.as_tensor(allowed, device=device),
            temperature,
            self._num_actions,
        )
        chosen = torch.as_tensor(actions, dtype=torch.int64, device=device)
        return log_probs_of(logits, chosen).cpu().numpy().astype(np.float64)

    def sequence_log_probs(
        self,
        sequences: Sequence[ResponseSequence],
        temperature: float = 1.0,
        allowed_of: AllowedOf | None = None,
    ) -> list[np.ndarray]:
        """See `Reference.sequence_log_probs`."""
        return sequence_log_probs(
            self._trunk,
            self._head,
            sequences,
            temperature=temperature,
            action_tokens=self._action_tokens,
            num_actions=self._num_actions,
            allowed_of=allowed_of,
            token_budget=self._token_budget,
        )

    def _tokens_on(self, device: torch.device) -> torch.Tensor:
        return torch.as_tensor(np.asarray(self._action_tokens), device=device)
