"""Hidden states of some positions only: the last layer's MLP is spared where nobody looks.

What precedes the last MLP is needed everywhere, as keys and values of later positions. The MLP and
the final norm work on each position alone, so leaving positions out changes nothing elsewhere.

Shape letters: R rows, T tokens, D width, M positions that are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from textgym.models.trunk import hidden_states


def selected_states(
    trunk: Any, ids: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
) -> torch.Tensor:
    """Return the last hidden states (M, D) at some cells of a full forward, without a cache.

    Args:
        trunk: See `trunk_and_head`.
        ids: (R, T) int64; see `hidden_states` on padding.
        rows: (M,) int64 on the device of `ids`, the row of each cell; no cell twice.
        columns: (M,) int64, its column.
    """
    if len(rows) == ids.numel():
        return hidden_states(trunk, ids)[rows, columns]
    with last_mlp_only_at(trunk, rows, columns):
        return hidden_states(trunk, ids)[rows, columns]


@contextmanager
def last_mlp_only_at(trunk: Any, rows: torch.Tensor, columns: torch.Tensor) -> Iterator[None]:
    """Let the last layer's MLP see some cells alone, within the block; the others become wrong.

    An architecture whose last MLP is not found computes all cells.
    """
    mlp = _last_mlp(trunk)
    if mlp is None:
        yield
        return
    with _only_at(mlp, rows, columns):
        yield


def _last_mlp(trunk: Any) -> nn.Module | None:
    """Find the last layer's `mlp`, where the architecture calls it so."""
    depth = trunk.config.get_text_config().num_hidden_layers
    for child in trunk.children():
        if isinstance(child, nn.ModuleList) and len(child) == depth:
            return dict(child[-1].named_children()).get("mlp")
    return None


@contextmanager
def _only_at(mlp: nn.Module, rows: torch.Tensor, columns: torch.Tensor) -> Iterator[None]:
    """Let the MLP see the cells alone and give 0 elsewhere, within the block."""
    full_shapes: list[torch.Size] = []

    def gather(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        # Some MLPs, such as BLOOM's, add a residual that they are given: those see all.
        if len(inputs) != 1 or inputs[0].dim() != 3:
            return None
        full_shapes.append(inputs[0].shape)
        return (inputs[0][rows, columns].unsqueeze(0),)

    def scatter(_: nn.Module, __: tuple[Any, ...], output: Any) -> torch.Tensor | None:
        if not full_shapes:
            return None
        full = output.new_zeros((*full_shapes.pop()[:2], output.shape[-1]))
        return full.index_put((rows, columns), output[0])

    hooks = [mlp.register_forward_pre_hook(gather), mlp.register_forward_hook(scatter)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
