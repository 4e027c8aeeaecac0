"""From hidden states to the distribution over actions: mask, action subset, temperature.

Shape letters: N rows, L observation width, A actions, V vocabulary, M packed actions, D model
width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch as th
from torch import nn

from textgym.agents.policies.packed_evaluation import PackedGroup
from textgym.masks import MaskFn
from textgym.models.sampling import action_logits, chunked_log_probs_and_entropy


@dataclass(kw_only=True)
class ActionRules:
    """What turns a language model's logits into a policy over the environment's actions.

    Attributes:
        num_actions: A.
        action_tokens: Token id of each action; None where action i is token i.
        empty_id: Marker of empty cells.
        width: L.
        temperature: Divides the logits.
        mask_fn: The environment's mask, None where every action is allowed.
    """

    num_actions: int
    action_tokens: tuple[int, ...] | None
    empty_id: int
    width: int
    temperature: float
    mask_fn: MaskFn | None = None

    def logits(
        self, logits: th.Tensor, ids: np.ndarray, lengths: np.ndarray, prompt_lengths: np.ndarray
    ) -> th.Tensor:
        """Give the (N, A) float32 action logits of states whose model logits are (N, V)."""
        allowed = None
        if self.mask_fn is not None:
            mask = self.mask_fn(ids, lengths, np.asarray(prompt_lengths))
            allowed = th.as_tensor(mask, device=logits.device)
        tokens = self._token_index(logits.device)
        return action_logits(logits, tokens, allowed, self.temperature, self.num_actions)

    def log_probs_and_entropies(
        self, hidden: th.Tensor, head: nn.Module, group: PackedGroup, *, with_entropy: bool
    ) -> tuple[th.Tensor, th.Tensor]:
        """Evaluate a group's actions from the hidden states (M, D) that predict them.

        Returns:
            log pi(a|s) and entropies (zeros without), (M,) float32, nats.
        """

        def allowed_rows(start: int, stop: int) -> th.Tensor:
            assert self.mask_fn is not None
            mask = self.mask_fn(*group.states(start, stop, self.empty_id, self.width))
            return th.as_tensor(mask, device=hidden.device)

        log_probs, entropies = chunked_log_probs_and_entropy(
            hidden,
            head,
            group.actions,
            action_tokens=self._token_index(hidden.device),
            allowed_rows=None if self.mask_fn is None else allowed_rows,
            temperature=self.temperature,
            num_actions=self.num_actions,
            with_entropy=with_entropy,
        )
        return log_probs, th.zeros_like(log_probs) if entropies is None else entropies

    def _token_index(self, device: th.device) -> th.Tensor | None:
        # Slicing instead of gathering keeps the whole-vocabulary case cheap.
        if self.action_tokens in (None, tuple(range(self.num_actions))):
            return None
        return th.tensor(self.action_tokens, device=device)
