"""One token for each of N rows, on tensors of fixed address and shape: plain, captured, compiled.

Shape letters: N rows, C cells that attention reads, D width of the hidden states.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from textgym.models.transfer import send

STEP_KINDS = ("eager", "static", "graph", "compile")
# Captured steps read cells in multiples of this: one graph per bucket, at most 63 empty cells.
BUCKET = 64

Step = Callable[[int], torch.Tensor]
"""From C to the new last hidden states, (N, D); valid until the next call."""


class StepInputs:
    """What a step of all N rows reads, kept on the device between steps.

    The host holds a copy of the positions, so it knows what the device already has. While every
    row grows by the token that was offered, a step sends nothing; else one message of 24 bytes per
    row.

    Attributes:
        tokens: (N, 1) int64, the token of each row; any for a row that does not step.
        positions: (N, 1) int64, where it stands.
        cells: (N,) int64, the same, or the scratch cell for a row that does not step.
    """

    def __init__(self, num_rows: int, scratch_cell: int, device: torch.device) -> None:
        """Start with no row stepping."""
        self._scratch_cell, self._device = scratch_cell, device
        # Ordinary tensors even inside inference mode, so that they stay writable outside it.
        with torch.inference_mode(False):
            self.tokens = torch.zeros((num_rows, 1), dtype=torch.int64, device=device)
            self.positions = torch.zeros((num_rows, 1), dtype=torch.int64, device=device)
            self.cells = torch.full((num_rows,), scratch_cell, dtype=torch.int64, device=device)
        self._held = np.full(num_rows, -2, dtype=np.int64)  # what no next position equals
        self._offered: tuple[torch.Tensor, np.ndarray] | None = None

    def offer(self, tokens: torch.Tensor, known: np.ndarray) -> None:
        """Keep tokens that are on the device already, in case the next step asks for them.

        Args:
            tokens: (N,) int64 on the device.
            known: (N,) int64, the same as the host got them.
        """
        self._offered = tokens, known

    def load(self, rows: np.ndarray, tokens: np.ndarray, positions: np.ndarray) -> None:
        """Take the next step's tokens.

        Args:
            rows: (R,) int64 distinct rows that step.
            tokens: (R,) int64.
            positions: (R,) int64.
        """
        offered, self._offered = self._offered, None
        packed = np.zeros((3, len(self._held)), dtype=np.int64)
        packed[2] = self._scratch_cell
        packed[:, rows] = tokens, positions, positions
        # A row that does not step has the scratch cell, which no next position equals.
        is_growing = np.array_equal(self._held + 1, packed[2])
        self._held = packed[2].copy()
        if is_growing:
            self.positions.add_(1)
            self.cells.add_(1)
            if offered is not None and np.array_equal(offered[1], packed[0]):
                self.tokens.copy_(offered[0].unsqueeze(1))
            else:
                self.tokens.copy_(send(packed[0], self._device).unsqueeze(1))
            return
        on_device = send(packed, self._device)
        self.tokens.copy_(on_device[0].unsqueeze(1))
        self.positions.copy_(on_device[1].unsqueeze(1))
        self.cells.copy_(on_device[2])

    def is_stepping(self) -> torch.Tensor:
        """Return (N, 1) bool: the rows that step."""
        return (self.cells != self._scratch_cell).unsqueeze(1)


class CapturedStep:
    """A step replayed from CUDA graphs, one per number of cells, in one pool of memory.

    The graphs read the weights where they were at the capture; should they have moved, as by
    `model.to(...)`, the step is captured again.
    """

    def __init__(self, step: Step, witness: torch.Tensor, *, may_fall_back: bool) -> None:
        """Capture nothing yet.

        Args:
            step: Without synchronisation and without changes of shape for the same C; running it
                twice must leave the same state as once.
            witness: A weight, whose address tells whether the weights moved.
            may_fall_back: Run the step as it is, with a warning, where it cannot be captured.
        """
        self._step, self._witness, self._may_fall_back = step, witness, may_fall_back
        self._graphs: dict[Any, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}
        self._pool: Any = None
        self._address = 0
        self._is_given_up = False

    def __call__(self, num_cells: int) -> torch.Tensor:
        """Run the step; see `Step`."""
        if self._is_given_up:
            return self._step(num_cells)
        if self._witness.data_ptr() != self._address:
            self._graphs, self._pool = {}, None
            self._address = self._witness.data_ptr()
        key = num_cells, torch.is_autocast_enabled("cuda")
        if key not in self._graphs:
            try:
                self._graphs[key] = self._capture(num_cells)
            except RuntimeError as error:
                if not self._may_fall_back:
                    raise
                self._is_given_up = True
                warnings.warn(
                    f"decoding without CUDA graphs, as the step cannot be captured: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
                return self._step(num_cells)
        graph, states = self._graphs[key]
        graph.replay()
        return states

    def _capture(self, num_cells: int) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
        # Kernels choose their algorithms and take their workspaces before the capture.
        side, current = torch.cuda.Stream(), torch.cuda.current_stream()
        with torch.inference_mode(False), torch.no_grad(), _without_autocast_cache():
            side.wait_stream(current)
            with torch.cuda.stream(side):
                for _ in range(2):
                    self._step(num_cells)
            current.wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool):
                states = self._step(num_cells)
        self._pool = graph.pool()
        return graph, states


def compiled_step(step: Step, state: Callable[[], Sequence[torch.Tensor]]) -> Step:
    """Return the step compiled by `torch.compile`, one specialisation per number of cells.

    Args:
        step: As for `CapturedStep`.
        state: Gives the tensors that the step changes in place, once they are there; empty before,
            when the step runs as it is.
    """
    compiled = torch.compile(step, mode="reduce-overhead", dynamic=False)
    is_marked = False

    def run(num_cells: int) -> torch.Tensor:
        nonlocal is_marked
        if not is_marked:
            tensors = state()
            for tensor in tensors:  # else they would be copied, or nothing be replayed
                torch._dynamo.mark_static_address(tensor)
            is_marked = bool(tensors)
        if not is_marked:
            return step(num_cells)
        torch.compiler.cudagraph_mark_step_begin()
        return compiled(num_cells)

    return run


def _without_autocast_cache() -> torch.autocast:
    """Keep autocast as it is, but without cached casts: a graph would read them for ever."""
    return torch.autocast(
        "cuda",
        dtype=torch.get_autocast_dtype("cuda"),
        enabled=torch.is_autocast_enabled("cuda"),
        cache_enabled=False,
    )
