"""What only a CUDA device can show: replayed and compiled steps, and who waits for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textgym.models.reward_model import SequenceScorer
from textgym.models.slot_decoder import SlotDecoder
from textgym.models.token_step import BUCKET, CapturedStep

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
NUM_ROWS, VOCAB, WIDTH = 6, 320, 2 * BUCKET + 20


def walk_both(ours: SlotDecoder, theirs: SlotDecoder, num_steps: int, atol: float) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(4, VOCAB, (NUM_ROWS, WIDTH))
    lengths = np.array([1, 7, BUCKET - 3, BUCKET, 2 * BUCKET - 2, WIDTH - 30])
    for step in range(num_steps):
        got = ours.logits(ours.advance(ids, lengths))
        expected = theirs.logits(theirs.advance(ids, lengths))
        torch.testing.assert_close(got, expected, atol=atol, rtol=atol)
        lengths = lengths + 1
        if step % 4 == 3:
            row = int(rng.integers(NUM_ROWS))
            ids[row], lengths[row] = rng.integers(4, VOCAB, WIDTH), rng.integers(1, 80)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("step", ["graph", "auto", "compile"])
def test_replayed_steps_equal_eager_ones(architecture: str, step: str, make_tiny_model: Any):
    model = make_tiny_model(architecture).cuda()
    eager = SlotDecoder(model, NUM_ROWS, WIDTH, step="eager")
    walk_both(SlotDecoder(model, NUM_ROWS, WIDTH, step=step), eager, 24, 1e-4)


def test_graphs_follow_weights_that_change_or_move(make_tiny_model: Any):
    model = make_tiny_model().cuda()
    graph = SlotDecoder(model, 2, WIDTH, step="graph")
    ids, lengths = np.random.default_rng(0).integers(4, VOCAB, (2, WIDTH)), np.array([5, 9])
    for version in range(3):
        for grown in range(3):
            got = graph.advance(ids, lengths + grown, weights_version=version).clone()
        fresh = SlotDecoder(model, 2, WIDTH, step="eager").advance(ids, lengths + 2)
        torch.testing.assert_close(got, fresh, atol=1e-4, rtol=1e-4)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.05)
                if version == 1:
                    parameter.data = parameter.data.clone()  # as `to` would move it


def test_a_step_that_cannot_be_captured_falls_back(make_tiny_model: Any):
    model = make_tiny_model().cuda()
    model.base_model.norm.register_forward_hook(lambda m, args, out: out * float(out.sum() > -1e30))
    eager = SlotDecoder(model, NUM_ROWS, WIDTH, step="eager")
    auto = SlotDecoder(model, NUM_ROWS, WIDTH, step="auto")
    assert isinstance(auto._run_step, CapturedStep)
    with pytest.warns(RuntimeWarning, match="without CUDA graphs"):
        walk_both(auto, eager, 3, 1e-4)
    walk_both(auto, eager, 3, 1e-4)


def test_a_step_waits_only_for_its_actions(make_tiny_model: Any):
    """PyTorch's own alarm: a synchronising call raises."""
    decoder = SlotDecoder(make_tiny_model().cuda(), NUM_ROWS, WIDTH, step="graph")
    ids, lengths = np.random.default_rng(0).integers(4, VOCAB, (NUM_ROWS, WIDTH)), np.full(6, 9)
    for grown in range(2):
        decoder.advance(ids, lengths + grown)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for grown in range(2, 8):
            lengths[1] = 3 if grown == 5 else lengths[1]
            decoder.logits(decoder.advance(ids, lengths + grown))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_an_offloaded_reward_model_leaves_the_card(tiny_reward_folder: Path):
    sequences = [[5, 6, 7], [8, 9]]
    expected = SequenceScorer(tiny_reward_folder, "cpu").score_ids(sequences)
    before = torch.cuda.memory_allocated()
    scorer = SequenceScorer(tiny_reward_folder, "cuda", offload=True)
    np.testing.assert_allclose(scorer.score_ids(sequences), expected, atol=1e-4)
    assert torch.cuda.memory_allocated() == before
    assert {p.device.type for p in scorer.model.parameters()} == {"cpu"}
