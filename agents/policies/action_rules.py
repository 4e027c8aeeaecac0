"""From hidden states to the distribution over actions: mask, action subset, temperature.

Shape letters: N rows, L observation width, A actions, V vocabulary, M packed actions, D model
width.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch as th
from torch import nn

from textgym.agents.policies.packed_evaluation import PackedGroup
from textgym.masks import MaskFn
from textgym.models.sampling import action_logits, check_allowed, chunked_log_probs_and_entropy
from textgym.models.transfer import send


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
    _tables: dict[th.device, th.Tensor] = field(default_factory=dict, repr=False)

    def logits(
        self, logits: th.Tensor, ids: np.ndarray, lengths: np.ndarray, prompt_lengths: np.ndarray
    ) -> th.Tensor:
        """Give the (N, A) float32 action logits of states whose model logits are (N, V)."""
        allowed = None
        if self.mask_fn is not None:
            mask = self.mask_fn(ids, lengths, np.asarray(prompt_lengths))
            allowed = self._sent(mask, logits.device)
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
            return self._sent(mask, hidden.device)

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

    def tokens_of(self, actions: th.Tensor, known: np.ndarray) -> tuple[th.Tensor, np.ndarray]:
        """Give the tokens of actions (N,), on the device and on the host, without a transfer."""
        table = self._token_index(actions.device)
        if table is None:
            return actions, known
        return table[actions], np.asarray(self.action_tokens, np.int64)[known]

    def _sent(self, mask: np.ndarray, device: th.device) -> th.Tensor:
        # Checked here: on an accelerator the check would wait for the device.
        check_allowed(mask)
        return send(np.asarray(mask, bool), device)

    def _token_index(self, device: th.device) -> th.Tensor | None:
        # Slicing instead of gathering keeps the whole-vocabulary case cheap.
        if self.action_tokens is None:
            return None
        if device not in self._tables:
            self._tables[device] = th.tensor(self.action_tokens, device=device)
        return self._tables[device]
