"""Segments and time steps give the same losses; only one of them runs every prefix."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.update import LOSSES, Contenders, require_equal

P, T, N = 12, 6, 3


@pytest.fixture
def both() -> Contenders:
    return Contenders(
        N,
        "cpu",
        batch_size=N * T,
        model="scratch:llama,layers=2,width=16,heads=2",
        prompt_tokens=P,
        response_tokens=T,
    )


def trunk_cells(agent: Any) -> int:
    cells = 0

    def note(module: Any, args: Any, kwargs: Any) -> None:
        nonlocal cells
        cells += kwargs["input_ids"].numel()

    trunk = agent.policy.language_model.base_model
    handle = trunk.register_forward_pre_hook(note, with_kwargs=True)
    agent.train()
    handle.remove()
    return cells


def test_the_same_data_give_the_same_losses_and_the_same_step(both: Contenders) -> None:
    before = both.ours.policy.value_head.weight.detach().clone()
    compared = both.compared_step()
    require_equal(compared)
    assert max(compared["difference"][loss] for loss in LOSSES) < 1e-5
    assert compared["difference"]["weights"] < 1e-6
    # The comparison says something: ratios have left 1 and both have learned.
    assert compared["ours"]["approx_kl"] > 1e-6 and compared["ours"]["value_loss"] > 0.1
    assert (both.ours.policy.value_head.weight - before).abs().max() > 1e-5


def test_a_difference_is_refused_by_name(both: Contenders) -> None:
    both.stock.rollout_buffer.returns[0, 0] += 1.0  # type: ignore[attr-defined]
    compared = both.compared_step()
    with pytest.raises(ValueError, match="value_loss must agree"):
        require_equal(compared)


def test_one_forward_per_sequence_against_one_per_time_step(both: Contenders) -> None:
    assert trunk_cells(both.ours) == N * (P + T - 1)
    stock = trunk_cells(both.stock)
    # Micro-batches in order of length pad prefixes by at most the longest of their batch.
    assert sum(N * (P + step) for step in range(T)) <= stock <= N * T * (P + T)
    assert both.epochs(both.ours, 2)() == 2 * N * T
