"""What a transformer policy computes with: its networks, their weights and its random draws."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from textgym.agents.policies.action_rules import ActionRules
from textgym.agents.policies.adapters import (
    LoraSettings,
    adapter_off,
    add_adapter,
    base_weights,
    is_adapter,
    read_adapter,
    share_base,
)
from textgym.agents.policies.model_building import (
    DEFAULT_SCRATCH,
    build_base_model,
    build_language_model,
    build_value_model,
    check_choice,
    check_spaces,
    output_width,
)
from textgym.masks import MaskFn
from textgym.models.decoding import DECODES
from textgym.models.float32_head import float32_head, store_in
from textgym.models.loading import DTYPES, check_dtype_on, load_causal_lm
from textgym.models.trunk import trunk_and_head

VALUE_MODES = ("shared", "separate")
HALF_WEIGHTS = "bfloat16-weights"
PRECISIONS = ("float32", "bfloat16", HALF_WEIGHTS)
ENTROPIES = ("gradient", "report", "none")


class PolicyNetworks(ActorCriticPolicy):
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
        decode: str = "auto",
        lora: str | None = None,
        lora_init: str | None = None,
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
        check_choice("decode", decode, DECODES)
        if use_sde:
            raise ValueError("use_sde must be False: actions are tokens")
        _check_numbers(micro_batch_tokens, temperature)
        self.model, self.value, self.value_init = model or DEFAULT_SCRATCH, value, value_init
        self.precision, self.entropy, self.decode = dtype, entropy, decode
        self.lora, self.lora_init = lora, lora_init
        self._lora_settings = _lora_settings(lora, value, value_init)
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
        self._is_plain = False
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
        self.language_model = self._build_language_model()
        # A plain tuple, so that the trunk is not registered a second time.
        trunk, head = trunk_and_head(self.language_model)
        self._parts = trunk, float32_head(head)
        self.value_model: nn.Module | None = None
        self._value_trunk: tuple[nn.Module, ...] = ()
        weight, bias = None, 0.0
        if self.value == "separate":
            self.value_model, weight, bias = build_value_model(self.language_model, self.value_init)
            if self.precision == HALF_WEIGHTS:
                store_in(self.value_model, th.bfloat16)
            self._value_trunk = (trunk_and_head(self.value_model)[0],)
        self.value_head = nn.Linear(output_width(self.value_model or self.language_model), 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.constant_(self.value_head.bias, bias)
        if weight is not None:
            with th.no_grad():
                self.value_head.weight.copy_(weight)

    @property
    def has_fresh_shared_head(self) -> bool:
        """Whether a critic on the policy's own trunk was never trained: 0 for every state."""
        is_trained = self.value_head.weight.any() or self.value_head.bias.any()
        return self.value_model is None and not bool(is_trained)

    def begin_values_at(self, value: float) -> None:
        """Give a critic that knows nothing one value for every state."""
        with th.no_grad():
            self.value_head.bias.fill_(value)

    def _build_language_model(self) -> Any:
        self.adapter_config: Any = None
        if self._lora_settings is None:
            model = build_language_model(
                self.model,
                vocab_size=self.vocab_size,
                width=self.width,
                eos_ids=self.eos_ids,
                seed=self.seed,
            )
            if self.precision == HALF_WEIGHTS:
                store_in(model, th.bfloat16)
            return model
        dtype = th.bfloat16 if self.precision == HALF_WEIGHTS else th.float32
        model = build_base_model(self.model, vocab_size=self.vocab_size, dtype=dtype)
        self.adapter_config = add_adapter(model, self._lora_settings, self.seed)
        if self.lora_init is not None:
            read_adapter(Path(self.lora_init), model)
        return model

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move or convert the networks; a base under an adapter is shared at its new place."""
        base = {} if self.lora is None else base_weights(self.language_model)
        homes = {name: parameter.data for name, parameter in base.items()}
        for parameter in base.values():
            parameter.data = parameter.data.new_empty(0)  # moves for nothing, taking no memory
        result = super()._apply(fn, recurse)
        if base and not self._share_base():
            for name, parameter in base.items():
                parameter.data = fn(homes[name])
        if self.precision != "float32":
            check_dtype_on(th.bfloat16, self.device)
        return result

    def _share_base(self) -> bool:
        """Take the weights that the environment's reference has, or would have, where we are now.

        Returns:
            False where that cannot be: its files are gone, or the type is none that is loaded.
        """
        weight = self.language_model.get_input_embeddings().weight
        if weight.dtype not in DTYPES.values():
            return False
        try:
            shared = load_causal_lm(self.model, device=weight.device, dtype=weight.dtype)
        except (OSError, ValueError):
            return False
        share_base(self.language_model, shared)
        return True

    @contextlib.contextmanager
    def adapter_off(self) -> Iterator[None]:
        """Be the reference inside: the same weights without the adapter of `lora`.

        A state made outside cannot be used inside, nor the other way round.

        Raises:
            ValueError: The policy has no adapter.
        """
        if self.lora is None:
            raise ValueError("expected a policy with lora=..., got one without an adapter")
        with adapter_off(self.language_model):
            self._is_plain = True
            try:
                yield
            finally:
                self._is_plain = False

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

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Load weights, which makes every KV cache stale; a shared base is left as it is.

        Raises:
            ValueError: The weights are those of an adapter to another base.
        """
        self.weights_version += 1
        if self.lora is not None:
            state_dict = self._with_own_base(state_dict)
        return super().load_state_dict(state_dict, *args, **kwargs)

    def _with_own_base(self, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        own, merged = self.state_dict(), dict(state_dict)
        for name, weight in own.items():
            if not name.startswith("language_model.") or is_adapter(name) or name not in merged:
                continue
            if not th.equal(weight.float().cpu(), merged[name].float().cpu()):
                raise ValueError(f"expected weights of an adapter to {self.model!r}, got others")
            merged[name] = weight
        return merged

    def load_from_vector(self, vector: np.ndarray) -> None:
        """Load weights from one vector, which makes every KV cache stale."""
        self.weights_version += 1
        super().load_from_vector(vector)


def _check_numbers(micro_batch_tokens: int | None, temperature: float) -> None:
    if micro_batch_tokens is not None and micro_batch_tokens < 1:
        raise ValueError(f"micro_batch_tokens must be at least 1, got {micro_batch_tokens!r}")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature!r}")


def _lora_settings(lora: str | None, value: str, value_init: str | None) -> LoraSettings | None:
    if lora is not None and value == "separate" and value_init is None:
        raise ValueError(
            f"lora={lora!r} needs value='shared', or the value_init of a value model that is "
            f"trained whole; a copy of the policy's weights would be the second that lora saves"
        )
    return None if lora is None else LoraSettings.parse(lora)


def _unless_identity(tokens: Sequence[int] | None, num_actions: int) -> tuple[int, ...] | None:
    plain = None if tokens is None else tuple(int(token) for token in tokens)
    return None if plain == tuple(range(num_actions)) else plain
