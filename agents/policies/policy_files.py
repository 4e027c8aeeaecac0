"""A policy's files: an ordinary Hugging Face folder, the value part beside it, and JSON.

```
policy/        the language model, with its tokenizer where one is known; an adapter merged in
adapter/       the adapter alone in PEFT's form, where the policy has one (`lora`)
value/         value_head.safetensors, and the value model where it is separate
policy.json    the spaces and the constructor's arguments
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces

from textgym.agents.storage.checkpoint import (
    CheckpointError,
    load_json,
    load_tensors,
    save_json,
    save_tensors,
)
from textgym.models.progress_bars import no_progress_bars
from textgym.tokenizer import Tokenizer

LANGUAGE_MODEL = "policy"
VALUE = "value"
ADAPTER = "adapter"
VALUE_HEAD = "value_head.safetensors"
ARGUMENTS = "policy.json"


def write_networks(
    folder: Path,
    *,
    language_model: Any,
    value_model: Any | None,
    value_head: th.nn.Linear,
    tokenizer: Tokenizer | None,
) -> None:
    """Write the networks of a policy into an existing folder."""
    with no_progress_bars():
        language_model.save_pretrained(folder / LANGUAGE_MODEL)
    if tokenizer is not None:
        tokenizer.save(folder / LANGUAGE_MODEL)
    value = folder / VALUE
    value.mkdir()
    if value_model is not None:
        with no_progress_bars():
            value_model.save_pretrained(value)
    save_tensors(value / VALUE_HEAD, dict(value_head.state_dict()))


def write_arguments(
    folder: Path,
    observation_space: spaces.Box,
    action_space: spaces.Discrete,
    arguments: dict[str, Any],
) -> None:
    """Write the spaces and the constructor's plain arguments."""
    optimizer_class: type[th.optim.Optimizer] = arguments["optimizer_class"]
    record = {
        "vocab_size": int(observation_space.high.max()),
        "width": int(observation_space.shape[0]),
        "num_actions": int(action_space.n),
        "arguments": {**arguments, "optimizer_class": optimizer_class.__name__},
    }
    save_json(folder / ARGUMENTS, record)


def read_arguments(folder: Path) -> tuple[spaces.Box, spaces.Discrete, dict[str, Any]]:
    """Read the spaces and the constructor's arguments, `model` and `value_init` pointing here.

    Raises:
        CheckpointError: The folder holds no policy, or one with an optimiser that is not torch's.
    """
    if not (folder / ARGUMENTS).is_file():
        raise CheckpointError(f"expected a saved policy, got {str(folder)!r} without {ARGUMENTS}")
    record = load_json(folder / ARGUMENTS)
    arguments = dict(record["arguments"])
    name = arguments["optimizer_class"]
    found = vars(th.optim).get(name)
    if not isinstance(found, type) or not issubclass(found, th.optim.Optimizer):
        raise CheckpointError(
            f"{str(folder)!r} was trained with the optimiser {name!r}, expected one of torch.optim"
        )
    arguments["optimizer_class"] = found
    kwargs = arguments.get("optimizer_kwargs", {})
    arguments["optimizer_kwargs"] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in kwargs.items()
    }
    base = arguments.pop("base_model", None)
    arguments["model"] = base or str(folder / LANGUAGE_MODEL)
    arguments["lora_init"] = str(folder / ADAPTER) if base else None
    arguments["value_init"] = str(folder / VALUE) if arguments["value"] == "separate" else None
    observation_space = spaces.Box(0, record["vocab_size"], (record["width"],), np.int64)
    return observation_space, spaces.Discrete(record["num_actions"]), arguments


def read_value_head(folder: Path) -> dict[str, th.Tensor]:
    """Read the value head's state dict from a `value/` folder."""
    return load_tensors(folder / VALUE_HEAD)
