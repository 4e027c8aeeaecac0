"""Masks, action subsets and temperature against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from textgym.models.sampling import (
    action_logits,
    chunked_log_probs_and_entropy,
    entropy,
    greedy,
    log_probs_of,
    sample,
)

# softmax of one row: (1, 2, 3, 4) / 10; the last column is padding of the vocabulary.
LOGITS = torch.log(torch.tensor([[1.0, 2.0, 3.0, 4.0, 50.0]]))


def test_padding_of_the_vocabulary_is_cut_off():
    logits = action_logits(LOGITS, num_actions=4)
    assert logits.shape == (1, 4)
    assert log_probs_of(logits, torch.tensor([2])).item() == pytest.approx(math.log(0.3), abs=1e-6)


def test_mask_and_subset_renormalise():
    allowed = torch.tensor([[True, False, True, False]])
    logits = action_logits(LOGITS, allowed=allowed, num_actions=4)
    assert log_probs_of(logits, torch.tensor([0])).item() == pytest.approx(math.log(0.25), abs=1e-6)
    assert log_probs_of(logits, torch.tensor([1])).item() == -math.inf
    subset = action_logits(LOGITS, action_tokens=torch.tensor([3, 0]))
    assert log_probs_of(subset, torch.tensor([0])).item() == pytest.approx(math.log(0.8), abs=1e-6)


def test_temperature_divides_logits():
    # 1, 4, 9, 16 over 30 at temperature one half
    logits = action_logits(LOGITS, temperature=0.5, num_actions=4)
    assert log_probs_of(logits, torch.tensor([3])).exp().item() == pytest.approx(16 / 30, abs=1e-6)


def test_entropy_ignores_what_is_not_allowed():
    allowed = torch.tensor([[True, True, False, False]])
    logits = action_logits(LOGITS, allowed=allowed, num_actions=4)
    by_hand = -(math.log(1 / 3) / 3 + 2 * math.log(2 / 3) / 3)
    assert entropy(logits).item() == pytest.approx(by_hand, abs=1e-6)
    assert greedy(logits).item() == 1


def test_entropy_has_finite_gradients_under_a_mask():
    logits = LOGITS[:, :4].clone().requires_grad_(True)
    allowed = torch.tensor([[True, True, False, False]])
    (100 * entropy(action_logits(logits, allowed=allowed))).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_samples_follow_the_probabilities_and_the_mask():
    allowed = torch.tensor([[True, False, True, True]])
    logits = action_logits(LOGITS, allowed=allowed, num_actions=4).expand(40_000, 4)
    drawn = sample(logits, torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=4) / len(drawn)
    # standard error of a share is at most 0.0025
    torch.testing.assert_close(shares, torch.tensor([1, 0, 3, 4]) / 8, atol=0.01, rtol=0)
    again = sample(logits, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


def test_rows_with_nothing_allowed_and_bad_temperatures_are_refused():
    with pytest.raises(ValueError, match="no action in row 0"):
        action_logits(LOGITS, allowed=torch.zeros(1, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        action_logits(LOGITS, temperature=0)
    with pytest.raises(ValueError, match="logits of 6 actions, got 5"):
        action_logits(LOGITS, num_actions=6)


def test_half_precision_logits_become_float32():
    assert action_logits(LOGITS.bfloat16()).dtype == torch.float32
    assert log_probs_of(LOGITS.bfloat16(), torch.tensor([0])).dtype == torch.float32


@pytest.mark.parametrize("chunk", [2, 100])
def test_chunks_change_neither_values_nor_gradients(chunk: int):
    generator = torch.Generator().manual_seed(0)
    head = torch.nn.Linear(6, 9)
    hidden = torch.randn(7, 6, generator=generator)
    actions = torch.randint(0, 4, (7,), generator=generator)
    allowed = torch.rand(7, 4, generator=generator) < 0.5
    allowed[torch.arange(7), actions] = True
    tokens = torch.tensor([8, 1, 2, 5])

    def gradient(chunked: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        states = hidden.clone().requires_grad_(True)
        if chunked:
            log_probs, entropies = chunked_log_probs_and_entropy(
                states,
                head,
                actions,
                action_tokens=tokens,
                allowed_rows=lambda start, stop: allowed[start:stop],
                temperature=0.7,
                chunk=chunk,
            )
        else:
            logits = action_logits(head(states), tokens, allowed, 0.7)
            log_probs, entropies = log_probs_of(logits, actions), entropy(logits)
        (log_probs.sum() + 2 * entropies.sum()).backward()
        return log_probs.detach(), entropies.detach(), states.grad

    for mine, whole in zip(gradient(True), gradient(False), strict=True):
        torch.testing.assert_close(mine, whole, atol=1e-6, rtol=1e-5)


def test_no_states_give_no_numbers():
    log_probs, entropies = chunked_log_probs_and_entropy(
        torch.zeros(0, 6), torch.nn.Linear(6, 9), torch.zeros(0, dtype=torch.int64)
    )
    assert log_probs.shape == entropies.shape == (0,)
