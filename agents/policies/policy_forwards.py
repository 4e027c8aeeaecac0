"""How a transformer policy computes: through its caches, by full forwards, over packed segments.

Shape letters: N rows, L observation width, A actions, V vocabulary, D model width, M packed
actions.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch as th
from torch.utils.checkpoint import checkpoint

from textgym.agents.policies.packed_evaluation import PackedGroup
from textgym.agents.policies.policy_networks import PolicyNetworks
from textgym.agents.policies.slot_state import SlotState
from textgym.models.sampling import sample
from textgym.models.selected_states import selected_states
from textgym.models.shared_prompts import can_share_prompts, states_after_prompts


class LanguageModelPolicy(PolicyNetworks):
    """The forwards of `TransformerPolicy`, which documents the arguments."""

    def new_state(self, num_rows: int, *, with_values: bool = True) -> SlotState:
        """Make the recurrent state of `num_rows` rows: empty KV caches.

        Without values none is kept for a separate value model, and `forward` gives NaN for them.
        """
        state = SlotState(
            self.language_model,
            self.value_model,
            num_rows,
            self.width,
            self.decode,
            with_values=with_values,
        )
        state.is_plain = self._is_plain
        return state

    def _rows(self, obs: np.ndarray | th.Tensor) -> tuple[np.ndarray, np.ndarray]:
        ids = obs.detach().cpu().numpy() if isinstance(obs, th.Tensor) else np.asarray(obs)
        if ids.ndim != 2 or ids.shape[1] > self.width:
            raise ValueError(f"expected observations (N, {self.width}), got shape {ids.shape}")
        ids = ids.astype(np.int64, copy=False)
        return ids, (ids != self.vocab_size).sum(axis=1)

    def _advance_hidden(
        self, obs: np.ndarray | th.Tensor, state: SlotState
    ) -> tuple[th.Tensor, th.Tensor | None]:
        ids, lengths = self._rows(obs)
        if not isinstance(state, SlotState) or state.num_rows != len(ids):
            held = state.num_rows if isinstance(state, SlotState) else type(state).__name__
            raise ValueError(f"expected the state of {len(ids)} rows, got {held}")
        if state.is_plain != self._is_plain:
            raise ValueError("expected a state made with the adapter as it is now, on or off")
        with th.no_grad(), self._arithmetic():
            return state.advance(ids, lengths, self.weights_version)

    def _advance(
        self,
        obs: np.ndarray | th.Tensor,
        state: SlotState | None,
        prompt_lengths: np.ndarray | None,
    ) -> tuple[th.Tensor, th.Tensor | None]:
        """Give action logits (N, A) float32 and the value trunk's hidden states (N, D)."""
        ids, lengths = self._rows(obs)
        state = self.new_state(len(ids)) if state is None else state
        hidden, value_hidden = self._advance_hidden(ids, state)
        with th.no_grad():
            known = state.prompt_lengths if prompt_lengths is None else prompt_lengths
            logits = self._parts[1](hidden)
            return self.rules.logits(logits, ids, lengths, known), value_hidden

    def fetch_actions(self, actions: th.Tensor, state: SlotState) -> np.ndarray:
        """Bring actions (N,) to the host, the one wait of a step, as (N,) int64.

        The state is told which tokens they mean, so that the next step need not send them back.
        """
        chosen = actions.cpu().numpy()
        state.offer(*self.rules.tokens_of(actions, chosen))
        return chosen

    def _sample(self, logits: th.Tensor) -> th.Tensor:
        if self.generator.device.type != logits.device.type:
            self.seed_sampling(self.seed)
        return sample(logits, self.generator)

    def _values(self, hidden: th.Tensor) -> th.Tensor:
        return self.value_head(hidden.float())

    def _arithmetic(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision != "bfloat16":
            return contextlib.nullcontext()
        return th.autocast(self.device.type, dtype=th.bfloat16)

    def _full_forward(self, trunk: Any, obs: np.ndarray | th.Tensor) -> th.Tensor:
        """Give a trunk's last hidden states (N, D) of plain observations."""
        ids, lengths = self._rows(obs)
        tokens = th.as_tensor(np.where(ids == self.vocab_size, 0, ids)[:, : lengths.max()])
        tokens, last = tokens.to(self.device), th.as_tensor(lengths - 1, device=self.device)
        rows = th.arange(len(tokens), device=self.device)
        with self._arithmetic():
            return selected_states(trunk, tokens, rows, last)

    @property
    def micro_batch_budget(self) -> int:
        """Padded tokens of one forward of `evaluate_actions`."""
        # Measured on two CPU cores with a model of a million weights: 8,192 costs a quarter more,
        # and where prompts are shared 1,024 costs a tenth more.
        return self.micro_batch_tokens or (3072 if self.device.type == "cpu" else 16384)

    def _evaluate_group(self, group: PackedGroup) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        if self.gradient_checkpointing and th.is_grad_enabled():
            return checkpoint(self._evaluate_now, group, use_reentrant=False)
        return self._evaluate_now(group)

    def _values_now(self, group: PackedGroup) -> tuple[th.Tensor]:
        with self._arithmetic():
            states = _states(self._critic_trunk, group)
        return (self._values(states).flatten(),)

    def can_share_prompts(self) -> bool:
        """Whether the update may read a prompt once for all segments that share it."""
        trunks = [parts[0] for parts in (self._parts, self._value_trunk) if parts]
        return all(can_share_prompts(trunk, self.width) for trunk in trunks)

    @property
    def _critic_trunk(self) -> Any:
        return self._value_trunk[0] if self._value_trunk else self._parts[0]

    def _evaluate_now(self, group: PackedGroup) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        with self._arithmetic():
            value_hidden = hidden = _states(self._parts[0], group)
            if self._value_trunk:
                value_hidden = _states(self._value_trunk[0], group)
        log_probs, entropies = self.rules.log_probs_and_entropies(
            hidden, self._parts[1], group, with_entropy=self.entropy != "none"
        )
        if self.entropy == "report":
            entropies = entropies.detach()
        return log_probs, self._values(value_hidden).flatten(), entropies


def _states(trunk: Any, group: PackedGroup) -> th.Tensor:
    """Give the hidden states (M, D) that predict a group's actions."""
    cells = group.rows, group.positions
    if group.shared_prompts is None:
        return selected_states(trunk, group.ids, *cells)
    return states_after_prompts(trunk, group.ids, *cells, group.shared_prompts)
