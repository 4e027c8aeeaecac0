"""`SlotCache`: keys and values in one fixed slot per row, each row at its own position.

Shape letters: N rows, R rows of one forward, Q tokens per row of one forward, H key-value heads,
C cells per slot. A slot has one cell more than `width`: padding is written there and never read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


@dataclass
class SlotWrite:
    """Where one forward writes and what it reads; set before the forward, shared by all layers.

    Attributes:
        rows: (R,) int64, the slots; None for all of them in order.
        cells: (R,) int64 for one token per row, (R, Q) for several; None where every row starts at
            cell 0, then `Q` cells from there.
        read_width: Cells that attention reads, from 0; 0 where it reads only the new tokens.
    """

    rows: torch.Tensor | None
    cells: torch.Tensor | None
    read_width: int


class SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, (N, H, C, head width), made at the first write."""

    is_sliding = False

    def __init__(self, num_rows: int, num_cells: int, write: SlotWrite) -> None:
        """Keep the shape; `write` is the object that the cache changes before each forward."""
        super().__init__()
        self.num_rows, self.num_cells, self.write = num_rows, num_cells, write

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate zeros in the shape, type and place of the first states."""
        # Ordinary tensors even inside inference mode, so that they stay writable outside it.
        with torch.inference_mode(False):
            self.keys = self._empty(key_states)
            self.values = self._empty(value_states)
            self.all_rows = torch.arange(self.num_rows, device=key_states.device)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write (R, H, Q, head width) states into their cells and return what attention reads."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None, "made at the first write"
        return self._put(self.keys, key_states), self._put(self.values, value_states)

    def _empty(self, states: torch.Tensor) -> torch.Tensor:
        shape = (self.num_rows, states.shape[1], self.num_cells, states.shape[-1])
        return torch.zeros(shape, dtype=states.dtype, device=states.device)

    def _put(self, store: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        rows, cells, read_width = self.write.rows, self.write.cells, self.write.read_width
        states = states.to(store.dtype)  # autocast may have made it another since
        where = self.all_rows if rows is None else rows
        if cells is None:
            store[where, :, : states.shape[2]] = states
            return states
        if cells.dim() == 1:
            store[where, :, cells] = states[:, :, 0]
        else:
            store[where[:, None], :, cells] = states.transpose(1, 2)
        return store[:, :, :read_width] if rows is None else store[rows, :, :read_width]

    def copy_row(self, source: int, targets: torch.Tensor, length: int) -> None:
        """Copy the first `length` cells of one slot into others."""
        for store in (self.keys, self.values):
            assert store is not None, "a row is copied only after it was written"
            store[targets, :, :length] = store[source, :, :length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return (read cells, 0); only asked where no mask was given."""
        return self.write.read_width or query_length, 0

    def get_seq_length(self) -> int:
        """Return 0: rows differ, so positions are always given explicitly."""
        return 0

    def get_max_length(self) -> int:
        """Return the usable cells of a slot."""
        return self.num_cells - 1


class SlotCache(Cache):
    """One slot of `width` cells per row over all layers of a model.

    Usage: `prepare(...)`, then the trunk's forward with `past_key_values=cache`, an explicit mask
    and explicit `position_ids`.
    """

    def __init__(self, config: Any, num_rows: int, width: int) -> None:
        """Make empty slots; memory is taken at the first forward, in the states' type and place.

        Args:
            config: The model's config; gives the number of layers.
            num_rows: N, at least 1.
            width: Longest sequence that a slot holds, in tokens, at least 1.
        """
        if num_rows < 1 or width < 1:
            raise ValueError(f"num_rows and width must be at least 1, got {num_rows!r}, {width!r}")
        self.num_rows, self.width = num_rows, width
        self.scratch_cell = width
        self.write = SlotWrite(rows=None, cells=None, read_width=0)
        layers = config.get_text_config().num_hidden_layers
        self.slots = [SlotLayer(num_rows, width + 1, self.write) for _ in range(layers)]
        super().__init__(layers=list(self.slots))

    def prepare(
        self, rows: torch.Tensor | None, cells: torch.Tensor | None, read_width: int
    ) -> None:
        """Say where the next forward writes and what it reads; see `SlotWrite`."""
        self.write.rows, self.write.cells, self.write.read_width = rows, cells, read_width

    def copy_row(self, source: int, targets: torch.Tensor, length: int) -> None:
        """Copy the first `length` cells of slot `source` into the slots `targets` (int64)."""
        for layer in self.slots:
            layer.copy_row(source, targets, length)

    @property
    def is_filled(self) -> bool:
        """Tell whether every layer was written to at least once."""
        return all(layer.is_initialized for layer in self.slots)
