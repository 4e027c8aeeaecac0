"""`benchmarks.growth`: what lives at once, and that a minibatch never holds all its logits."""

from __future__ import annotations

import time

import pytest
import torch

from benchmarks.growth import PROMPT_TOKENS, Decoding, decode_costs, update_bytes
from benchmarks.live_bytes import LiveBytes
from textgym.models.sampling import chunked_log_probs_and_entropy

VOCABULARY = 10_000


def test_live_bytes_by_hand() -> None:
    outside = torch.ones(1000, requires_grad=True)
    with LiveBytes() as live:
        kept = outside.exp()
        assert live.now == 4000
        view = kept[:10]
        assert live.now == 4000 and view.shape == (10,)
        result = kept.sin()
        assert live.now == 8000
        del kept, view
        assert live.now == 8000  # the backward pass of sin keeps its input
        del result
        assert live.now == 0
    assert live.peak == 8000


def test_a_minibatch_never_holds_all_its_logits() -> None:
    few, many = (update_bytes(count, VOCABULARY, "cpu") for count in (2, 32))
    assert many["all_logits"] == 16 * few["all_logits"] == 4 * 32 * 16 * VOCABULARY
    assert many["peak"] < 1.5 * few["peak"] < many["all_logits"]
    assert many["kept"] < 0.1 * many["all_logits"]


@pytest.mark.parametrize("with_gradient", [False, True])
def test_memory_is_flat_in_the_number_of_chunks(with_gradient: bool) -> None:
    head = torch.nn.Linear(4, VOCABULARY, bias=False)

    def peak(num_chunks: int) -> int:
        hidden = torch.randn(8 * num_chunks, 4, requires_grad=with_gradient)
        actions = torch.zeros(len(hidden), dtype=torch.int64)
        with torch.set_grad_enabled(with_gradient), LiveBytes() as live:
            log_probs, entropies = chunked_log_probs_and_entropy(hidden, head, actions, chunk=8)
            assert entropies is not None
            if with_gradient:
                (log_probs.sum() + entropies.sum()).backward()
        return live.peak

    assert peak(32) < 1.2 * peak(2)


def test_decoding_counts_every_token_after_the_prefill() -> None:
    ticks = iter(range(100))
    loop = Decoding((5, 2, 64), "cpu")
    # A clock that counts its readings: one second for 4 steps of 2 rows.
    assert loop.microseconds_per_token(lambda: next(ticks)) == pytest.approx(1e6 / 8)
    assert loop.state.prompt_lengths.tolist() == [PROMPT_TOKENS] * 2


def test_costs_of_every_point() -> None:
    points = [(3, 2, 64), (4, 1, 64)]
    costs = decode_costs(points, 1, time.perf_counter, "cpu")
    assert list(costs) == points and min(costs.values()) > 0
