"""The step of fixed shapes, uncaptured on a CPU, and what crosses between host and device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textgym.models.slot_decoder import SlotDecoder
from textgym.models.token_step import BUCKET, StepInputs

NUM_ROWS, VOCAB = 6, 320
WIDTH = 2 * BUCKET + 20  # three buckets, the last one cut short
ARCHITECTURES = ("llama", "gpt2", "qwen2")


def full_logits(model, ids: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
    """The library's own logits at `lengths - 1`, row by row, without padding or cache."""
    with torch.no_grad():
        rows = [
            model(torch.from_numpy(row[None, :length]), use_cache=False).logits[0, -1]
            for row, length in zip(ids, lengths, strict=True)
        ]
    return torch.stack(rows)


def walk(rng: np.random.Generator, num_steps: int):
    """Ragged rows around the edges of the buckets that grow, restart, wait and jump."""
    ids = rng.integers(0, VOCAB, (NUM_ROWS, WIDTH))
    lengths = np.array([1, 7, BUCKET - 3, BUCKET, 2 * BUCKET - 2, WIDTH - 6])
    for step in range(num_steps):
        yield ids.copy(), lengths.copy()
        lengths = np.minimum(lengths + 1, WIDTH)
        if step % 4 == 3:
            row = int(rng.integers(NUM_ROWS))
            ids[row], lengths[row] = rng.integers(0, VOCAB, WIDTH), rng.integers(1, 80)
        if step % 5 == 4:
            lengths[step % NUM_ROWS] -= 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_static_equals_full_forward_and_eager(architecture: str, make_tiny_model):
    model = make_tiny_model(architecture)
    static = SlotDecoder(model, NUM_ROWS, WIDTH, step="static")
    eager = SlotDecoder(model, NUM_ROWS, WIDTH, step="eager")
    read: set[int] = set()
    run = static._run_step
    static._run_step = lambda cells: read.add(cells) or run(cells)
    for index, (ids, lengths) in enumerate(walk(np.random.default_rng(0), 24)):
        ours = static.logits(static.advance(ids, lengths))
        torch.testing.assert_close(
            ours, eager.logits(eager.advance(ids, lengths)), atol=1e-5, rtol=1e-5
        )
        if index % 3 == 0:
            torch.testing.assert_close(ours, full_logits(model, ids, lengths), atol=1e-5, rtol=1e-5)
    assert read <= {BUCKET, 2 * BUCKET, WIDTH} and WIDTH in read


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_short_rows_read_only_their_bucket(architecture: str, make_tiny_model):
    model = make_tiny_model(architecture)
    static = SlotDecoder(model, 3, WIDTH, step="static")
    read: list[int] = []
    run = static._run_step
    static._run_step = lambda cells: read.append(cells) or run(cells)
    ids = np.random.default_rng(1).integers(0, VOCAB, (3, WIDTH))
    lengths = np.array([BUCKET - 4, 9, 20])
    for _ in range(8):
        logits = static.logits(static.advance(ids, lengths))
        torch.testing.assert_close(logits, full_logits(model, ids, lengths), atol=1e-5, rtol=1e-5)
        lengths = lengths + 1
    assert read == [BUCKET] * 4 + [2 * BUCKET] * 3


def test_a_static_step_uses_the_same_memory_every_time(make_tiny_model):
    static = SlotDecoder(make_tiny_model(), NUM_ROWS, WIDTH, step="static")
    places = set()
    for ids, lengths in walk(np.random.default_rng(2), 8):
        static.advance(ids, lengths)
        inputs, layer = static._inputs, static._cache.slots[0]
        tensors = inputs.tokens, inputs.positions, inputs.cells, layer.keys, layer.values
        places.add(tuple(tensor.data_ptr() for tensor in tensors))
    assert len(places) == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_static_step_is_one_graph(architecture: str, make_tiny_model):
    """`torch.compile` sees the whole step without a break, which is what capturing needs too."""
    model = make_tiny_model(architecture)
    static = SlotDecoder(model, NUM_ROWS, WIDTH, step="static")
    torch._dynamo.reset()
    static._run_step = torch.compile(
        static._all_rows, backend="eager", fullgraph=True, dynamic=False
    )
    for ids, lengths in walk(np.random.default_rng(3), 5):
        logits = static.logits(static.advance(ids, lengths))
        torch.testing.assert_close(logits, full_logits(model, ids, lengths), atol=1e-5, rtol=1e-5)


def test_unknown_and_impossible_steps_are_refused(make_tiny_model):
    with pytest.raises(ValueError, match="step must be one of .*'graph'.*got 'fast'"):
        SlotDecoder(make_tiny_model(), 2, 8, step="fast")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="'graph' needs a CUDA device, got 'cpu'"):
            SlotDecoder(make_tiny_model(), 2, 8, step="graph")


def inputs_of(num_rows: int = 3) -> StepInputs:
    return StepInputs(num_rows, scratch_cell=9, device=torch.device("cpu"))


def held(inputs: StepInputs) -> list[list[int]]:
    return [inputs.tokens[:, 0].tolist(), inputs.positions[:, 0].tolist(), inputs.cells.tolist()]


def test_inputs_follow_any_change_of_rows(monkeypatch: pytest.MonkeyPatch):
    sent: list[int] = []
    monkeypatch.setattr(
        "textgym.models.token_step.send",
        lambda array, device: sent.append(array.size) or torch.from_numpy(array.copy()),
    )
    inputs, every = inputs_of(), np.arange(3)
    inputs.load(np.array([0, 2]), np.array([5, 6]), np.array([3, 4]))
    assert held(inputs) == [[5, 0, 6], [3, 0, 4], [3, 9, 4]]
    assert inputs.is_stepping().flatten().tolist() == [True, False, True]
    inputs.load(every, np.array([7, 8, 9]), np.array([4, 0, 5]))
    assert held(inputs) == [[7, 8, 9], [4, 0, 5], [4, 0, 5]]
    assert sent == [9, 9]
    # All grow by one: only tokens are sent, and not even those where they were offered.
    inputs.load(every, np.array([1, 2, 3]), np.array([5, 1, 6]))
    assert held(inputs) == [[1, 2, 3], [5, 1, 6], [5, 1, 6]] and sent == [9, 9, 3]
    inputs.offer(torch.tensor([4, 5, 6]), np.array([4, 5, 6]))
    inputs.load(every, np.array([4, 5, 6]), np.array([6, 2, 7]))
    assert held(inputs) == [[4, 5, 6], [6, 2, 7], [6, 2, 7]] and sent == [9, 9, 3]
    # Rows in another order are the same rows.
    inputs.load(np.array([2, 0, 1]), np.array([3, 1, 2]), np.array([8, 7, 3]))
    assert held(inputs) == [[1, 2, 3], [7, 3, 8], [7, 3, 8]]


def test_an_offer_that_is_not_what_was_asked_for_is_ignored():
    inputs, every = inputs_of(), np.arange(3)
    inputs.load(every, np.array([1, 2, 3]), np.array([0, 0, 0]))
    assert held(inputs) == [[1, 2, 3], [0, 0, 0], [0, 0, 0]]
    inputs.offer(torch.tensor([4, 5, 6]), np.array([4, 5, 6]))
    inputs.load(every, np.array([4, 8, 6]), np.array([1, 1, 1]))
    assert inputs.tokens[:, 0].tolist() == [4, 8, 6]
    # An offer is for the next step only.
    inputs.load(every, np.array([4, 5, 6]), np.array([2, 2, 2]))
    assert inputs.tokens[:, 0].tolist() == [4, 5, 6]
