"""LoRA: a few trainable weights beside a language model's, which stay as they are and are shared.

The base weights of a policy with an adapter are those of the frozen model that the environment's
reference computes with, so a second copy is never held: the reference is the policy with its
adapter off. Needs the `peft` extra.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch as th
from torch import nn

from textgym.agents.storage.checkpoint import CheckpointError, load_tensors, save_tensors

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ALL_LINEAR = "all-linear"
_PREFIX = "base_model.model."  # of names in PEFT's files


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Size and place of an adapter.

    Attributes:
        r: Rank, at least 1.
        alpha: The adapter's output is scaled by alpha / r, above 0.
        targets: Names of the linear layers that get one, or "all-linear": all but the output layer.
    """

    r: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = (ALL_LINEAR,)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.r < 1 or not self.alpha > 0 or not math.isfinite(self.alpha) or not self.targets:
            raise ValueError(
                f"expected r of at least 1, alpha above 0 and targets, got r={self.r!r}, "
                f"alpha={self.alpha!r}, targets={self.targets!r}"
            )

    @classmethod
    def parse(cls, text: str) -> LoraSettings:
        """Read "r=8,alpha=16,targets=q_proj+v_proj", every part optional.

        Raises:
            ValueError: An unknown name, or a value out of range.
        """
        readers: dict[str, Callable[[str], Any]] = {
            "r": int,
            "alpha": float,
            "targets": lambda names: tuple(names.split("+")),
        }
        found: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            try:
                found[name] = readers[name](value)
            except (KeyError, ValueError) as error:
                raise ValueError(
                    f"lora must be such as 'r=8,alpha=16,targets=q_proj+v_proj', got {text!r}"
                ) from error
        return cls(**found)


def same_weights(model: nn.Module) -> Any:
    """Copy a model's modules, but not its weights: frozen parameters over the same memory."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.data, requires_grad=False) for p in model.parameters()
    }
    memo |= {id(buffer): buffer for buffer in model.buffers()}
    return copy.deepcopy(model, memo)


def add_adapter(model: Any, settings: LoraSettings, seed: int) -> Any:
    """Put a fresh adapter into a frozen model, in place; the model's outputs stay the same.

    Args:
        model: A causal LM, all its parameters frozen.
        settings: Size and place.
        seed: Seed of the adapter's first factors; the second start at 0.

    Returns:
        PEFT's configuration of the adapter, with the layers that were found.

    Raises:
        ModuleNotFoundError: `peft` is not installed.
        ValueError: The model has no layers of these names.
    """
    peft = _peft()
    is_all = settings.targets == (ALL_LINEAR,)
    config = peft.LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        target_modules=ALL_LINEAR if is_all else list(settings.targets),
        fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),
        task_type="CAUSAL_LM",
    )
    try:
        peft.inject_adapter_in_model(config, model)
    except ValueError as error:
        raise ValueError(
            f"lora targets {settings.targets!r} do not fit {type(model).__name__}: {error}"
        ) from error
    generator = th.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if not is_adapter(name):
            continue
        # In float32 whatever the base: steps of an optimiser are lost in bfloat16.
        parameter.data = parameter.data.float()
        if ".lora_A." in name:
            nn.init.kaiming_uniform_(parameter, a=math.sqrt(5), generator=generator)
    return config


def is_adapter(name: str) -> bool:
    """Whether a parameter's name is one of an adapter's."""
    return ".lora_" in name


def base_weights(model: Any) -> dict[str, nn.Parameter]:
    """Return the weights under an adapter, by the names that they have in an ordinary model."""
    return {
        name.replace(".base_layer.", "."): parameter
        for name, parameter in model.named_parameters()
        if not is_adapter(name)
    }


def share_base(model: Any, shared: nn.Module) -> None:
    """Let a model with an adapter use another model's weights as its base, without a copy."""
    weights = dict(shared.named_parameters())
    for name, parameter in base_weights(model).items():
        parameter.data = weights[name].data


@contextlib.contextmanager
def adapter_off(model: Any) -> Iterator[None]:
    """Let a model compute without its adapter inside."""
    layers = list(_adapted(model).values())
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def merged(model: Any) -> Any:
    """Return an ordinary model on the CPU, a copy, with the adapter added into its weights."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(p.detach().cpu().clone(), requires_grad=False)
        for p in model.parameters()
    }
    memo |= {id(buffer): buffer.detach().cpu().clone() for buffer in model.buffers()}
    plain = copy.deepcopy(model, memo)
    for name, layer in _adapted(plain).items():
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(plain.get_submodule(parent), child, layer.get_base_layer())
    return plain


def write_adapter(folder: Path, model: Any, config: Any, base: str) -> None:
    """Write an adapter in PEFT's own form, which `AutoModelForCausalLM` loads, naming its base."""
    folder.mkdir()
    tensors = {
        _PREFIX + name.replace(".default.", "."): parameter.detach()
        for name, parameter in model.named_parameters()
        if is_adapter(name)
    }
    save_tensors(folder / ADAPTER_WEIGHTS, tensors)
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(folder))


def read_adapter(folder: Path, model: Any) -> None:
    """Read the weights of `write_adapter` into a model with an adapter of the same settings.

    Raises:
        CheckpointError: No adapter there, or one of other layers or sizes.
    """
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise CheckpointError(f"expected a LoRA adapter in {str(folder)!r}, got no weights")
    found = load_tensors(folder / ADAPTER_WEIGHTS)
    own = {name: p for name, p in model.named_parameters() if is_adapter(name)}
    names = {_PREFIX + name.replace(".default.", "."): name for name in own}
    if found.keys() != names.keys() or any(
        found[key].shape != own[name].shape for key, name in names.items()
    ):
        raise CheckpointError(f"{str(folder)!r} holds an adapter of other layers or another rank")
    for key, name in names.items():
        own[name].data.copy_(found[key])


def _adapted(model: Any) -> dict[str, Any]:
    layer_type = _peft().tuners.tuners_utils.BaseTunerLayer
    return {name: m for name, m in model.named_modules() if isinstance(m, layer_type)}


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise ModuleNotFoundError(
            "lora=... needs the package peft: pip install 'textgym[peft]'"
        ) from error
    return peft
