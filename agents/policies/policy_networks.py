"""What a transformer policy computes with: its networks, arithmetic and random draws.

Shape letters: N rows, L observation width, A actions, V vocabulary, D model width, M packed
actions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from torch.utils.checkpoint import checkpoint

from textgym.agents.policies.action_rules import ActionRules
from textgym.agents.policies.model_building import (
    DEFAULT_SCRATCH,
    build_language_model,
    build_value_model,
    check_choice,
    check_spaces,
    output_width,
)
from textgym.agents.policies.packed_evaluation import PackedGroup
from textgym.agents.policies.slot_state import SlotState
from textgym.masks import MaskFn
from textgym.models.sampling import sample
from textgym.models.trunk import hidden_states, trunk_and_head

VALUE_MODES = ("shared", "separate")
PRECISIONS = ("float32", "bfloat16")
ENTROPIES = ("gradient", "report", "none")


class LanguageModelPolicy(ActorCriticPolicy):
    """The networks of `TransformerPolicy`, which documents the arguments."""

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        *,
        model: str | None = None,
        value: str = "shared",
        value_init: str | None = None,
        dtype: str = "float32",
        temperature: float = 1.0,
        action_tokens: Sequence[int] | None = None,
        eos_ids: Sequence[int] = (),
        micro_batch_tokens: int | None = None,
        gradient_checkpointing: bool = False,
        entropy: str = "report",
        seed: int | None = None,
        use_sde: bool = False,
        optimizer_class: type[th.optim.Optimizer] = th.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Check the arguments and build the networks; see the class."""
        check_spaces(observation_space, action_space)
        check_choice("value", value, VALUE_MODES)
        check_choice("dtype", dtype, PRECISIONS)
        check_choice("entropy", entropy, ENTROPIES)
        if use_sde:
            raise ValueError("use_sde must be False: actions are tokens")
        if micro_batch_tokens is not None and micro_batch_tokens < 1:
            raise ValueError(f"micro_batch_tokens must be at least 1, got {micro_batch_tokens!r}")
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature!r}")
        self.model, self.value, self.value_init = model or DEFAULT_SCRATCH, value, value_init
        self.precision, self.entropy = dtype, entropy
        self.eos_ids = tuple(int(i) for i in eos_ids)
        self.micro_batch_tokens = micro_batch_tokens
        self.gradient_checkpointing = gradient_checkpointing
        self.seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self.vocab_size = int(observation_space.high.max())  # type: ignore[attr-defined]
        self.width = int(observation_space.shape[0])  # type: ignore[index]
        num_actions = int(action_space.n)  # type: ignore[attr-defined]
        self.rules = ActionRules(
            num_actions=num_actions,
            action_tokens=_unless_identity(action_tokens, num_actions),
            empty_id=self.vocab_size,
            width=self.width,
            temperature=float(temperature),
        )
        self.weights_version = 0
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )

    def _build(self, lr_schedule: Schedule) -> None:
        # Layers draw weights from the global generator when they are made, to be overwritten here.
        with th.random.fork_rng(devices=[]):
            self._build_networks()
        self.generator = th.Generator().manual_seed(self.seed)
        parameters = [p for p in self.parameters() if p.requires_grad]
        self.optimizer = self.optimizer_class(
            parameters,
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def _build_networks(self) -> None:
        self.language_model = build_language_model(
            self.model,
            vocab_size=self.vocab_size,
            width=self.width,
            eos_ids=self.eos_ids,
            seed=self.seed,
        )
        # A plain tuple, so that the trunk is not registered a second time.
        self._parts = trunk_and_head(self.language_model)
        self.value_model: nn.Module | None = None
        self._value_trunk: tuple[nn.Module, ...] = ()
        weight, bias = None, 0.0
        if self.value == "separate":
            self.value_model, weight, bias = build_value_model(self.language_model, self.value_init)
            self._value_trunk = (trunk_and_head(self.value_model)[0],)
        self.value_head = nn.Linear(output_width(self.value_model or self.language_model), 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.constant_(self.value_head.bias, bias)
        if weight is not None:
            with th.no_grad():
                self.value_head.weight.copy_(weight)

    @property
    def temperature(self) -> float:
        """Divides the logits; the environment's reference must have the same."""
        return self.rules.temperature

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        self.rules.temperature = temperature

    @property
    def mask_fn(self) -> MaskFn | None:
        """The environment's mask, None where every action is allowed."""
        return self.rules.mask_fn

    @mask_fn.setter
    def mask_fn(self, mask_fn: MaskFn | None) -> None:
        self.rules.mask_fn = mask_fn

    def new_state(self, num_rows: int) -> SlotState:
        """Make the recurrent state of `num_rows` rows: empty KV caches."""
        return SlotState(self.language_model, self.value_model, num_rows, self.width)

    def seed_sampling(self, seed: int) -> None:
        """Start the generator that draws actions anew."""
        self.generator = th.Generator(device=self.device).manual_seed(seed)

    def restore_sampling(self, state: th.Tensor) -> None:
        """Go on drawing actions from a generator's saved state, where it fits this device."""
        generator = th.Generator(device=self.device)
        if generator.get_state().shape == state.shape:
            generator.set_state(state)
            self.generator = generator

    def set_training_mode(self, mode: bool) -> None:
        """Switch modes; switching to training makes every KV cache stale."""
        if mode:
            self.weights_version += 1
        super().set_training_mode(mode)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load weights, which makes every KV cache stale."""
        self.weights_version += 1
        return super().load_state_dict(*args, **kwargs)

    def load_from_vector(self, vector: np.ndarray) -> None:
        """Load weights from one vector, which makes every KV cache stale."""
        self.weights_version += 1
        super().load_from_vector(vector)

    def _rows(self, obs: np.ndarray | th.Tensor) -> tuple[np.ndarray, np.ndarray]:
        ids = obs.detach().cpu().numpy() if isinstance(obs, th.Tensor) else np.asarray(obs)
        if ids.ndim != 2 or ids.shape[1] > self.width:
            raise ValueError(f"expected observations (N, {self.width}), got shape {ids.shape}")
        ids = ids.astype(np.int64, copy=False)
        return ids, (ids != self.vocab_size).sum(axis=1)

    def _advance_hidden(
        self, obs: np.ndarray | th.Tensor, state: SlotState
    ) -> tuple[th.Tensor, th.Tensor]:
        ids, lengths = self._rows(obs)
        if not isinstance(state, SlotState) or state.num_rows != len(ids):
            held = state.num_rows if isinstance(state, SlotState) else type(state).__name__
            raise ValueError(f"expected the state of {len(ids)} rows, got {held}")
        with th.no_grad(), self._arithmetic():
            return state.advance(ids, lengths, self.weights_version)

    def _advance(
        self,
        obs: np.ndarray | th.Tensor,
        state: SlotState | None,
        prompt_lengths: np.ndarray | None,
    ) -> tuple[th.Tensor, th.Tensor]:
        """Give action logits (N, A) float32 and the value trunk's hidden states (N, D)."""
        ids, lengths = self._rows(obs)
        state = self.new_state(len(ids)) if state is None else state
        hidden, value_hidden = self._advance_hidden(ids, state)
        with th.no_grad():
            known = state.prompt_lengths if prompt_lengths is None else prompt_lengths
            return self.rules.logits(state.logits(hidden), ids, lengths, known), value_hidden

    def _sample(self, logits: th.Tensor) -> th.Tensor:
        if self.generator.device.type != logits.device.type:
            self.seed_sampling(self.seed)
        return sample(logits, self.generator)

    def _values(self, hidden: th.Tensor) -> th.Tensor:
        return self.value_head(hidden.float())

    def _arithmetic(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == "float32":
            return contextlib.nullcontext()
        return th.autocast(self.device.type, dtype=th.bfloat16)

    def _full_forward(self, obs: np.ndarray | th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Give both trunks' last hidden states (N, D) of plain observations."""
        ids, lengths = self._rows(obs)
        tokens = th.as_tensor(np.where(ids == self.vocab_size, 0, ids)[:, : lengths.max()])
        tokens, last = tokens.to(self.device), th.as_tensor(lengths - 1, device=self.device)
        rows = th.arange(len(tokens), device=self.device)
        with self._arithmetic():
            hidden = hidden_states(self._parts[0], tokens)[rows, last]
            if not self._value_trunk:
                return hidden, hidden
            return hidden, hidden_states(self._value_trunk[0], tokens)[rows, last]

    @property
    def _token_budget(self) -> int:
        # Measured on two CPU cores with a model of a million weights: 8,192 costs a quarter more.
        return self.micro_batch_tokens or (2048 if self.device.type == "cpu" else 16384)

    def _evaluate_group(self, group: PackedGroup) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        if self.gradient_checkpointing and th.is_grad_enabled():
            return checkpoint(self._evaluate_now, group, use_reentrant=False)
        return self._evaluate_now(group)

    def _evaluate_now(self, group: PackedGroup) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        with self._arithmetic():
            hidden = hidden_states(self._parts[0], group.ids)[group.rows, group.positions]
            value_hidden = hidden
            if self._value_trunk:
                states = hidden_states(self._value_trunk[0], group.ids)
                value_hidden = states[group.rows, group.positions]
        log_probs, entropies = self.rules.log_probs_and_entropies(
            hidden, self._parts[1], group, with_entropy=self.entropy != "none"
        )
        if self.entropy == "report":
            entropies = entropies.detach()
        return log_probs, self._values(value_hidden).flatten(), entropies


def _unless_identity(tokens: Sequence[int] | None, num_actions: int) -> tuple[int, ...] | None:
    plain = None if tokens is None else tuple(int(token) for token in tokens)
    return None if plain == tuple(range(num_actions)) else plain
