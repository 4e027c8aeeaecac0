"""Hidden states of responses to prompts that repeat: each prompt is read once.

Two forwards: the different prompts, but for their last token, into a cache; then all that comes
from the last prompt token on, each row behind its own prompt's keys and values. Gradients flow
through the cache. Nothing of the prompts but keys and values is used, so that backward spares the
rest of the last layer there.

Shape letters: R rows, T tokens, U different prompts, P tokens of the longest but its last, D width,
M positions that are read.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from textgym.models.selected_states import last_mlp_only_at, selected_states
from textgym.models.trunk import CannotKeepSlots, check_attends_fully

# Relative difference from a full forward that still counts as rounding, by kind of number.
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-4}
HALF_TOLERANCE = 0.05
# What an architecture may say to a cache, or to an MLP that nothing goes through.
REFUSALS = (AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError)
_verdicts: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class SharedPrompts:
    """Which rows answer the same prompt.

    Attributes:
        lengths: (R,) int64, tokens of each row's prompt, at least 2.
        owners: (R,) int64 in [0, U), the prompt of each row.
        first: (U,) int64, a row of each prompt.
    """

    lengths: torch.Tensor
    owners: torch.Tensor
    first: torch.Tensor


def states_after_prompts(
    trunk: Any,
    ids: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor,
    prompts: SharedPrompts,
) -> torch.Tensor:
    """Return the last hidden states (M, D) at some cells from the last prompt token on.

    Args:
        trunk: One that `can_share_prompts`.
        ids: (R, T) int64, right-padded with any id.
        rows: (M,) int64, the row of each cell; no cell twice.
        columns: (M,) int64, its column, at least the prompt's length minus 1.
        prompts: Which rows share theirs.
    """
    starts = prompts.lengths - 1
    tail_columns = columns - starts[rows]
    steps = torch.arange(int(tail_columns.max()) + 1, device=ids.device)
    # Cells behind a row's end repeat its last one: nobody reads what they give.
    positions = (starts[:, None] + steps).clamp(max=ids.shape[1] - 1)
    width = int(starts.max())
    cache = _read_prompts(trunk, ids[prompts.first, :width])
    layers: list[Any] = list(cache.layers)
    for layer in layers:
        # `index_select` has a cheaper backward than indexing, which the cache's own method does.
        layer.keys = layer.keys.index_select(0, prompts.owners)
        layer.values = layer.values.index_select(0, prompts.owners)
    is_prompt = torch.arange(width, device=ids.device) < starts[:, None]
    with last_mlp_only_at(trunk, rows, tail_columns):
        states = trunk(
            input_ids=ids.gather(1, positions),
            attention_mask=torch.cat([is_prompt, torch.ones_like(positions).bool()], 1).long(),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
    return states[rows, tail_columns]


def can_share_prompts(trunk: Any, width: int) -> bool:
    """Return whether `states_after_prompts` gives a trunk's states, by running both once.

    Args:
        trunk: See `trunk_and_head`.
        width: Tokens of the longest sequence: a narrower window of attention would count the
            cells between a short prompt and what follows it.
    """
    try:
        check_attends_fully(trunk, width)
    except CannotKeepSlots:
        return False
    if trunk not in _verdicts:
        _verdicts[trunk] = _takes_caches(trunk) and _agrees(trunk)
    return _verdicts[trunk]


def _read_prompts(trunk: Any, ids: torch.Tensor) -> DynamicCache:
    """Return the keys and values of (U, P) tokens."""
    cache = DynamicCache(config=trunk.config)
    nothing = torch.zeros(0, dtype=torch.long, device=ids.device)
    with last_mlp_only_at(trunk, nothing, nothing):
        trunk(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            past_key_values=cache,
            use_cache=True,
        )
    return cache


def _takes_caches(trunk: Any) -> bool:
    parameters = inspect.signature(trunk.forward).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if not (takes_any or {"past_key_values", "position_ids"} <= parameters.keys()):
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=trunk.config).layers)


def _example() -> tuple[torch.Tensor, SharedPrompts]:
    """Return three rows, the first two of one prompt, the third of a longer one."""
    ids = torch.tensor([[5, 6, 7, 8, 9, 0], [5, 6, 9, 7, 0, 0], [8, 5, 7, 6, 5, 9]])
    prompts = SharedPrompts(
        lengths=torch.tensor([2, 2, 4]),
        owners=torch.tensor([0, 0, 1]),
        first=torch.tensor([0, 2]),
    )
    return ids, prompts


@torch.no_grad()
def _agrees(trunk: Any) -> bool:
    parameter = next(trunk.parameters())
    ids, prompts = _example()
    on_device = SharedPrompts(**{k: v.to(parameter.device) for k, v in vars(prompts).items()})
    ids = ids.to(parameter.device) % trunk.get_input_embeddings().weight.shape[0]
    rows = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2], device=parameter.device)
    columns = torch.tensor([1, 2, 3, 4, 1, 2, 3, 3, 4, 5], device=parameter.device)
    expected = selected_states(trunk, ids, rows, columns).float()
    try:
        found = states_after_prompts(trunk, ids, rows, columns, on_device).float()
    except REFUSALS:
        return False
    scale = expected.abs().max().clamp_min(1e-6)
    tolerance = TOLERANCES.get(parameter.dtype, HALF_TOLERANCE)
    return bool((found - expected).abs().max() <= tolerance * scale)
