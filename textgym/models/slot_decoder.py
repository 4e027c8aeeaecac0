"""`SlotDecoder`: last hidden states of N growing sequences, computing only what is new.

Each row has a slot of keys and values (`SlotCache`) and a host copy of the ids in it. What is
reused is the longest common prefix of slot and request, so no flag from outside can make a result
wrong: rows may grow by one token or several, restart, or be replaced in the middle.

Shape letters: N rows, R rows asked for, L width of the ids, Q tokens per row of one forward, C
cells that attention reads, D width of the hidden states, V rows of the output layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from textgym.models.length_groups import PrefillGroup, group_prefills
from textgym.models.slot_cache import SlotCache
from textgym.models.token_step import (
    BUCKET,
    STEP_KINDS,
    CapturedStep,
    Step,
    StepInputs,
    compiled_step,
)
from textgym.models.transfer import send
from textgym.models.trunk import (
    CannotKeepSlots,
    check_attends_fully,
    head_place,
    head_width,
    hidden_states,
    trunk_and_head,
)

# Cells are read in multiples of this, so that masks stay aligned on accelerators.
READ_MULTIPLE = 16
# Relative difference between cached and full forward that the check at the start may find.
CHECK_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
CHECK_TOLERANCE_HALF = 0.1

Array = np.ndarray | torch.Tensor


class SlotDecoder:
    """Last hidden states of N rows with a cache per row.

    The model's weights are read in place: after they change, pass a new `weights_version`.

    Attributes:
        num_rows: N.
        width: Longest sequence, in tokens.
        prompt_lengths: (N,) int64, the length at which the row's current episode began, taken
            where a request did not extend the slot; 0 before the first request.
    """

    def __init__(self, model: Any, num_rows: int, width: int, step: str = "auto") -> None:
        """Take empty slots for a causal language model.

        Args:
            model: A Hugging Face causal LM, on its device and in its dtype.
            num_rows: N, at least 1.
            width: Longest sequence in tokens, at least 1.
            step: How a step of one token per row runs: "eager"; "static" (fixed shapes: all N
                rows, cells in buckets); "graph" (the same, replayed from CUDA graphs); "compile"
                (the same, by `torch.compile`); "auto": graphs on CUDA where the model can be
                captured, else eager.

        Raises:
            ValueError: A model whose states cannot be kept per row, named in the message, or an
                unknown or impossible `step`.
        """
        check_attends_fully(model, width)
        self._trunk, self._head = trunk_and_head(model)
        self._allocate(model.config, num_rows, width)
        _check_exact(self, model)
        self._set_step(step)

    def _allocate(self, config: Any, num_rows: int, width: int) -> None:
        self.num_rows, self.width = num_rows, width
        self.prompt_lengths = np.zeros(num_rows, dtype=np.int64)
        self._ids = np.zeros((num_rows, width), dtype=np.int64)
        self._lengths = np.zeros(num_rows, dtype=np.int64)
        self._versions = np.zeros(num_rows, dtype=np.int64)
        self._every_row = np.arange(num_rows)
        self._device, self._dtype = head_place(self._head)
        self._cache = SlotCache(config, num_rows, width)
        self._inputs = StepInputs(num_rows, self._cache.scratch_cell, self._device)
        self._run_step: Step = self._all_rows
        self._is_static = False
        self._columns = torch.arange(width, device=self._device)
        self._hidden = torch.zeros(
            (num_rows, head_width(self._head)), dtype=self._dtype, device=self._device
        )

    @torch.no_grad()
    def advance(
        self,
        ids: Array,
        lengths: Array,
        rows: Array | None = None,
        weights_version: int = 0,
    ) -> torch.Tensor:
        """Return the last hidden state at `lengths - 1` of each row, (R, D) in the model's dtype.

        Args:
            ids: (R, L) int64, L at most `width` or the rest empty; never changed.
            lengths: (R,) tokens of each row, in [1, width].
            rows: (R,) int64 distinct rows that `ids` are for; None for all N in order.
            weights_version: Anything that changes when the weights do; slots filled under another
                version are filled again.

        Raises:
            ValueError: A shape or length that does not fit.
        """
        ids, lengths = _host(ids), _host(lengths)
        where = self._every_row if rows is None else _host(rows)
        self._check_request(ids, lengths, where)
        ids = ids[:, : int(lengths.max())]
        starts = self._missing_from(ids, lengths, where, weights_version)
        missing = lengths - starts
        if missing.any():
            # Should a forward fail, only what stands before `starts` counts as held.
            self._lengths[where] = np.minimum(starts, self._lengths[where])
            self._compute(ids, starts, lengths, missing, where)
            self._ids[where, : ids.shape[1]] = ids
            self._lengths[where] = lengths
            self._versions[where] = weights_version
        return self._hidden if rows is None else self._hidden[self._send(where)]

    def offer(self, tokens: torch.Tensor, known: np.ndarray) -> None:
        """Say which tokens are on the device already; see `StepInputs.offer`."""
        self._inputs.offer(tokens, known)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the output layer's logits of hidden states, (…, D) to (…, V) float32."""
        return self._head(hidden).float()

    def forget(self, rows: Array | None = None) -> None:
        """Empty some or all slots."""
        self._lengths[slice(None) if rows is None else _host(rows)] = 0

    def _check_request(self, ids: np.ndarray, lengths: np.ndarray, where: np.ndarray) -> None:
        if ids.ndim != 2 or lengths.shape != where.shape or len(ids) != len(where):
            raise ValueError(
                f"expected ids and lengths of {len(where)} rows, got shapes {ids.shape} and "
                f"{lengths.shape}"
            )
        longest = min(self.width, ids.shape[1])
        if len(lengths) == 0 or lengths.min() < 1 or lengths.max() > longest:
            raise ValueError(f"lengths must be in [1, {longest}], got {lengths.tolist()!r}")

    def _missing_from(
        self, ids: np.ndarray, lengths: np.ndarray, where: np.ndarray, version: int
    ) -> np.ndarray:
        """Return the first token to compute per row, (R,); `lengths` where nothing is missing."""
        held = self._lengths[where]
        is_every = where is self._every_row  # a view then, no copy
        differs = ids != (self._ids if is_every else self._ids[where])[:, : ids.shape[1]]
        common = np.where(differs.any(axis=1), differs.argmax(axis=1), ids.shape[1])
        common = np.minimum(common, np.minimum(held, lengths))
        began = (common < held) | (held == 0)
        self.prompt_lengths[where[began]] = lengths[began]
        starts = np.minimum(common, lengths - 1)
        starts[(common == lengths) & (held == lengths)] += 1
        starts[self._versions[where] != version] = 0
        return starts

    def _compute(
        self,
        ids: np.ndarray,
        starts: np.ndarray,
        lengths: np.ndarray,
        missing: np.ndarray,
        where: np.ndarray,
    ) -> None:
        """Fill slots and hidden states of all rows with something missing."""
        hidden = self._hidden.clone()
        stepping = np.flatnonzero(missing == 1)
        if stepping.size:
            tokens = ids[stepping, lengths[stepping] - 1]
            self._step(hidden, where[stepping], tokens, lengths[stepping] - 1)
        several = np.flatnonzero(missing > 1)
        for group in group_prefills(ids, starts, lengths, several, self._device.type):
            self._prefill(hidden, group, ids, starts, lengths, where)
        self._hidden = hidden

    def _step(
        self, hidden: torch.Tensor, rows: np.ndarray, tokens: np.ndarray, positions: np.ndarray
    ) -> None:
        """Add one token to each of some rows; all N run where most do, as that copies no slot."""
        read = self._read_width(int(positions.max()) + 1)
        if not self._is_static and 2 * len(rows) < self.num_rows:
            self._step_few(hidden, rows, tokens, positions, read)
            return
        self._inputs.load(rows, tokens, positions)
        new = self._run_step(read)
        if len(rows) < self.num_rows:
            new = torch.where(self._inputs.is_stepping(), new, hidden)
        hidden.copy_(new)

    def _all_rows(self, read: int) -> torch.Tensor:
        """Run the loaded tokens of all N rows, on tensors that never move."""
        inputs = self._inputs
        self._cache.prepare(None, inputs.cells, read)
        mask = self._mask(inputs.positions, read)
        return self._forward(inputs.tokens, inputs.positions, mask)[:, 0]

    def _state_in_place(self) -> list[torch.Tensor]:
        """Return what `_all_rows` reads and changes where it lies; nothing before it is there."""
        if not self._cache.is_filled:
            return []
        stores = [store for slot in self._cache.slots for store in (slot.keys, slot.values)]
        inputs = self._inputs
        every = [inputs.tokens, inputs.positions, inputs.cells, *stores]
        return [tensor for tensor in every if tensor is not None]

    def _step_few(
        self,
        hidden: torch.Tensor,
        rows: np.ndarray,
        tokens: np.ndarray,
        positions: np.ndarray,
        read: int,
    ) -> None:
        on_device = self._send(np.stack([tokens, positions, rows]))
        position_ids = on_device[1].unsqueeze(1)
        self._cache.prepare(on_device[2], on_device[1], read)
        mask = self._mask(position_ids, read)
        new = self._forward(on_device[0].unsqueeze(1), position_ids, mask)[:, 0]
        hidden[on_device[2]] = new

    def _set_step(self, kind: str) -> None:
        """Choose what runs `_all_rows`, and note whether its shapes are fixed."""
        if kind not in ("auto", *STEP_KINDS):
            raise ValueError(f"step must be one of {('auto', *STEP_KINDS)}, got {kind!r}")
        is_cuda = self._device.type == "cuda"
        if kind == "graph" and not is_cuda:
            raise ValueError(f"step 'graph' needs a CUDA device, got {str(self._device)!r}")
        self._is_static = kind != "eager" and (is_cuda or kind != "auto")
        if kind == "compile":
            self._run_step = compiled_step(self._all_rows, self._state_in_place)
        elif self._is_static and kind != "static":
            witness = next(iter(self._head.parameters()))
            self._run_step = CapturedStep(self._all_rows, witness, may_fall_back=kind == "auto")

    def _send(self, array: np.ndarray) -> torch.Tensor:
        return send(array, self._device)

    def _prefill(
        self,
        hidden: torch.Tensor,
        group: PrefillGroup,
        ids: np.ndarray,
        starts: np.ndarray,
        lengths: np.ndarray,
        where: np.ndarray,
    ) -> None:
        """Add several tokens to each row of a group, right-padded."""
        members = group.members
        first, last = starts[members, None], lengths[members, None] - 1
        offsets = np.arange(int((last - first).max()) + 1)
        positions = np.minimum(first + offsets, last)
        tokens = self._send(ids[members[:, None], positions])
        rows = self._send(where[members])
        if first.any():
            cells = np.where(first + offsets <= last, positions, self._cache.scratch_cell)
            position_ids = self._send(positions)
            read = self._read_width(int(last.max()) + 1)
            self._cache.prepare(rows, self._send(cells), read)
        else:
            # Padding lands in cells behind the row's end, which are written before they are read.
            position_ids = self._columns[None, : len(offsets)]
            read = len(offsets)
            self._cache.prepare(rows, None, read)
        states = self._forward(tokens, position_ids, self._mask(position_ids, read))
        ends = self._send((last - first)[:, 0])
        hidden[rows] = states[torch.arange(len(members), device=self._device), ends]
        for member, others in group.copies.items():
            targets = self._send(where[others])
            self._cache.copy_row(int(where[member]), targets, int(lengths[member]))
            hidden[targets] = hidden[int(where[member])].clone()

    def _forward(
        self, ids: torch.Tensor, position_ids: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        states = self._trunk(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position_ids,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        return states.to(self._dtype)  # autocast may have made it another

    def _mask(self, position_ids: torch.Tensor, read_width: int) -> torch.Tensor:
        """Return the additive mask (R, 1, Q, C): a token reads the cells up to its position."""
        is_hidden = self._columns[:read_width] > position_ids[:, None, :, None]
        mask = torch.zeros(is_hidden.shape, dtype=self._dtype, device=self._device)
        return mask.masked_fill_(is_hidden, torch.finfo(self._dtype).min)

    def _read_width(self, needed: int) -> int:
        multiple = BUCKET if self._is_static else READ_MULTIPLE
        return min(self.width, -(-needed // multiple) * multiple)


def _host(array: Array) -> np.ndarray:
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    return np.asarray(array, dtype=np.int64)


def _check_exact(decoder: SlotDecoder, model: Any) -> None:
    """Compare a cached walk over two ragged rows with the full forward, once per decoder."""
    probe = object.__new__(SlotDecoder)
    probe._trunk, probe._head = decoder._trunk, decoder._head
    probe._allocate(model.config, num_rows=2, width=4)
    ids = np.array([[1, 2, 3, 0], [2, 3, 1, 2]]) % len(model.get_input_embeddings().weight)
    try:
        with torch.no_grad(), torch.autocast(probe._device.type, enabled=False):
            for lengths in ([2, 3], [3, 4]):
                cached = probe.advance(ids, np.array(lengths))
            full = hidden_states(probe._trunk, torch.from_numpy(ids).to(probe._device))
    except torch.OutOfMemoryError:
        raise
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise CannotKeepSlots(
            f"{type(model).__name__} {model.name_or_path!r} cannot be read with one cache slot per "
            f"row ({error}); expected a model with plain causal attention"
        ) from error
    expected = torch.stack([full[0, 2], full[1, 3]]).float()
    tolerance = CHECK_TOLERANCE.get(probe._dtype, CHECK_TOLERANCE_HALF)
    difference = (cached.float() - expected).abs().max()
    if not probe._cache.is_filled or not difference <= tolerance * expected.abs().max():
        raise CannotKeepSlots(
            f"{type(model).__name__} {model.name_or_path!r} does not give the same states with one "
            f"cache slot per row as without (difference {float(difference):.2g}); expected a model "
            f"with plain causal attention, in eval mode"
        )
