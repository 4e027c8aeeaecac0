"""The networks of a policy: its language model and, where it is separate, its value model."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from torch import nn
from transformers import AutoModelForCausalLM

from textgym import envs_registry
from textgym.agents.policies.adapters import same_weights
from textgym.agents.policies.policy_files import VALUE_HEAD, read_value_head
from textgym.agents.supervised.fresh_models import SCRATCH_PREFIX, fresh_causal_lm, is_scratch
from textgym.models.loading import (
    copy_causal_lm,
    load_sequence_classifier,
    shared_causal_lm,
)
from textgym.models.trunk import head_width

DEFAULT_SCRATCH = "scratch:llama,layers=2,width=64,heads=2"
MODEL_KINDS = ("bundled", "scratch", "pretrained")


def model_kind(model: str) -> str:
    """Tell which of `MODEL_KINDS` a model is: it decides the default learning rate."""
    if is_scratch(model):
        return "scratch"
    assets = Path(str(envs_registry.__file__)).parent / "assets"
    is_inside = Path(model).exists() and Path(model).resolve().is_relative_to(assets.resolve())
    return "bundled" if is_inside else "pretrained"


def build_language_model(
    model: str, *, vocab_size: int, width: int, eos_ids: tuple[int, ...], seed: int
) -> Any:
    """Make a trainable language model, float32 on the CPU, every dropout 0.

    Args:
        model: Folder, hub name, or `scratch:...` as `fresh_causal_lm` reads it (the kind may be
            left out: `scratch:layers=2,width=64,heads=2` is a Llama).
        vocab_size: Token ids lie below.
        width: Longest sequence, for a fresh model's positions.
        eos_ids: End tokens of a fresh model.
        seed: Seed of a fresh model's weights.

    Raises:
        ValueError: Nothing to load there, or the model has fewer embeddings than `vocab_size`.
    """
    if is_scratch(model):
        return fresh_causal_lm(
            _full_scratch_spec(model, width),
            vocab_size=vocab_size,
            eos_ids=eos_ids,
            pad_id=None,
            seed=seed,
        )
    loaded = copy_causal_lm(model, device="cpu", dtype="float32")
    _check_rows(loaded, model, vocab_size)
    return loaded


def build_base_model(model: str, *, vocab_size: int, dtype: th.dtype) -> Any:
    """Make the frozen model under an adapter, on the CPU, its weights shared where they are loaded.

    Args:
        model: Folder or hub name.
        vocab_size: Token ids lie below.
        dtype: Of the weights.

    Raises:
        ValueError: A fresh model, which has nothing to adapt; and see `build_language_model`.
    """
    if is_scratch(model):
        raise ValueError(f"lora needs a pretrained model (folder or hub name), got {model!r}")
    shared = shared_causal_lm(model, device="cpu", dtype=dtype)
    if shared is None:
        loaded = copy_causal_lm(model, device="cpu", dtype=dtype).requires_grad_(False)
    else:
        loaded = same_weights(shared)
    _check_rows(loaded, model, vocab_size)
    return loaded


def _check_rows(loaded: Any, model: str, vocab_size: int) -> None:
    rows = int(loaded.get_input_embeddings().weight.shape[0])
    if rows < vocab_size:
        raise ValueError(
            f"vocabulary mismatch: {model!r} has {rows} embeddings, expected at least the "
            f"environment's {vocab_size} token ids"
        )


def build_value_model(
    language_model: Any, value_init: str | None
) -> tuple[Any, th.Tensor | None, float]:
    """Make a separate value model.

    Args:
        language_model: The policy's; copied where `value_init` is None.
        value_init: Folder or hub name of a one-label classifier (a reward model), the `value/`
            folder of a saved policy, or None.

    Returns:
        A causal LM whose trunk is the value model (its output layer is frozen and unused), the
        (1, D) float32 weight for the value head or None for zeros, and the head's bias.

    Raises:
        ValueError: The classifier's embeddings or width do not fit the policy's vocabulary.
    """
    if value_init is None:
        return _without_head_gradient(copy.deepcopy(language_model)), None, 0.0
    if (Path(value_init) / VALUE_HEAD).is_file():
        saved = read_value_head(Path(value_init))
        model = copy_causal_lm(value_init, device="cpu", dtype="float32")
        return _without_head_gradient(model), saved["weight"], float(saved["bias"])
    classifier = load_sequence_classifier(value_init, device="cpu", dtype="float32")
    rows = int(classifier.get_input_embeddings().weight.shape[0])
    if rows < language_model.get_input_embeddings().weight.shape[0]:
        raise ValueError(
            f"value_init={value_init!r} has {rows} embeddings, expected at least the policy's "
            f"{language_model.get_input_embeddings().weight.shape[0]}: it must read the same tokens"
        )
    model = AutoModelForCausalLM.from_config(classifier.config, dtype=th.float32)
    model.base_model.load_state_dict(classifier.base_model.state_dict())
    gain, bias = _gain_and_bias(Path(value_init))
    weight = gain * classifier.score.weight.detach().float().clone()
    return _without_head_gradient(model), weight, bias


def output_width(model: Any) -> int:
    """Width D of the last hidden state that the output layer reads."""
    return head_width(model.get_output_embeddings())


def check_spaces(observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """Raise ValueError unless the spaces are those of a text environment."""
    is_ids = (
        isinstance(observation_space, spaces.Box)
        and len(observation_space.shape) == 1
        and np.issubdtype(observation_space.dtype, np.integer)
    )
    if not is_ids:
        raise ValueError(
            f"expected observations Box(0, V, (L,), int64) of token ids, got {observation_space!r}"
        )
    if not isinstance(action_space, spaces.Discrete):
        raise ValueError(f"expected actions Discrete(A), got {action_space!r}")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {tuple(choices)}, got {value!r}")


def _full_scratch_spec(model: str, width: int) -> str:
    parts = model.removeprefix(SCRATCH_PREFIX).split(",")
    if "=" in parts[0]:
        parts.insert(0, "llama")
    if not any(part.strip().startswith("positions=") for part in parts):
        parts.append(f"positions={max(width, 16)}")
    return SCRATCH_PREFIX + ",".join(parts)


def _without_head_gradient(model: Any) -> Any:
    head: nn.Module = model.get_output_embeddings()
    if head.weight is not model.get_input_embeddings().weight:
        head.requires_grad_(False)
    return model


def _gain_and_bias(folder: Path) -> tuple[float, float]:
    file = folder / "textgym.json"
    if not file.is_file():
        return 1.0, 0.0
    numbers = json.loads(file.read_text(encoding="utf-8"))
    return float(numbers.get("gain", 1.0)), float(numbers.get("bias", 0.0))
