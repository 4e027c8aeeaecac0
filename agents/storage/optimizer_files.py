"""An optimiser's state as safetensors and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch as th

from textgym.agents.storage.checkpoint import load_json, load_tensors, save_json, save_tensors

TENSORS = "optimizer.safetensors"
NUMBERS = "optimizer.json"


def write_optimizer(folder: Path, optimizer: th.optim.Optimizer) -> None:
    """Write the state into an existing folder."""
    state = optimizer.state_dict()
    tensors: dict[str, th.Tensor] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, th.Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                numbers.setdefault(str(index), {})[name] = value
    save_tensors(folder / TENSORS, tensors)
    save_json(folder / NUMBERS, {"groups": state["param_groups"], "numbers": numbers})


def read_optimizer(folder: Path, optimizer: th.optim.Optimizer) -> None:
    """Put a written state into an optimiser over the same parameters."""
    record = load_json(folder / NUMBERS)
    state: dict[int, dict[str, Any]] = {
        int(index): dict(entries) for index, entries in record["numbers"].items()
    }
    for key, tensor in load_tensors(folder / TENSORS).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    groups = [{name: _as_tuple(name, value) for name, value in g.items()} for g in record["groups"]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _as_tuple(name: str, value: Any) -> Any:
    # JSON has no tuples; torch wants its betas to be one.
    return tuple(value) if isinstance(value, list) and name != "params" else value
