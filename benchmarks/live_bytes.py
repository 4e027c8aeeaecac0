"""Counts the bytes of all tensors that live at once, on any device, exactly."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Inside, notes every storage that an operation makes, and when it is freed.

    What an operation allocates and frees within itself is not seen.

    Attributes:
        now: Bytes of storages made inside that are alive.
        peak: The most that `now` has been.
    """

    def __init__(self) -> None:
        """Start at 0."""
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and note what it made."""
        result = func(*args, **(kwargs or {}))
        # Results over a storage from outside, such as views of weights and writes into them.
        given = {
            leaf.untyped_storage()._cdata
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, torch.Tensor)
        }
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._note(leaf.untyped_storage(), given)
        return result

    def _note(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        address, size = storage._cdata, storage.nbytes()
        if address in self._known or address in given:
            return
        self._known.add(address)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, address, size)

    def _forget(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.now -= size
