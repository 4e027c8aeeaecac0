"""Each loss by hand, its least value, and how the terms are added."""

from __future__ import annotations

import math

import pytest
import torch

from textgym.agents.reward_learning.losses import (
    Calibration,
    LossWeights,
    bradley_terry_losses,
    comparison_losses,
    fraction_losses,
    weighted_total,
)


def test_bradley_terry_by_hand() -> None:
    chosen, rejected = torch.tensor([2.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 1.0])
    ties = torch.tensor([False, False, True])
    # -log sigmoid(2), -log sigmoid(-1), and log 2 for the tie.
    expected = [0.126928, 1.313262, 0.693147]
    found = bradley_terry_losses(chosen, rejected, ties)
    assert found.tolist() == pytest.approx(expected, abs=1e-5)
    tie = bradley_terry_losses(torch.tensor([1.0]), torch.zeros(1), torch.tensor([True]))
    assert tie.item() == pytest.approx((0.313262 + 1.313262) / 2, abs=1e-5)


def test_a_comparison_does_not_see_an_offset_and_is_symmetric() -> None:
    first, second = torch.tensor([0.3, -2.0]), torch.tensor([1.0, 0.5])
    label = torch.tensor([1.0, 0.25])
    plain = comparison_losses(first, second, label)
    assert torch.allclose(comparison_losses(first + 7, second + 7, label), plain, atol=1e-6)
    assert torch.allclose(comparison_losses(second, first, 1 - label), plain)


def test_a_score_by_hand() -> None:
    logits, values = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.25])
    p = 1 / (1 + math.exp(-2))
    expected = [math.log(2), -(0.25 * math.log(p) + 0.75 * math.log(1 - p))]
    assert fraction_losses(logits, values).tolist() == pytest.approx(expected, rel=1e-5)


def test_the_score_loss_is_proper() -> None:
    """Numbers 0.2, 0.2 and 0.8 for one thing: the least loss is where sigmoid is their mean."""
    values = torch.tensor([0.2, 0.2, 0.8])
    best = math.log(0.4 / 0.6)
    logit = torch.tensor(best, requires_grad=True)
    fraction_losses(logit.expand(3), values).mean().backward()
    assert logit.grad is not None and logit.grad.item() == pytest.approx(0, abs=1e-6)
    at_best = fraction_losses(torch.full((3,), best), values).mean()
    for other in (best - 0.1, best + 0.1):
        assert fraction_losses(torch.full((3,), other), values).mean() > at_best


def test_a_calibration_starts_as_nothing_and_its_factor_stays_above_0() -> None:
    calibration = Calibration(members=2)
    rewards = torch.tensor([[1.0, -1.0], [0.5, 2.0]])
    assert torch.equal(calibration(rewards), rewards)
    optimizer = torch.optim.SGD(calibration.parameters(), lr=5.0)
    for _ in range(200):  # better rewards, lower scores: a wants to be negative
        optimizer.zero_grad()
        fraction_losses(calibration(rewards), torch.tensor([0.1, 0.9])).mean().backward()
        optimizer.step()
    assert (calibration.log_a.exp() > 0).all()
    assert calibration(torch.tensor([[0.0], [0.0]])).shape == (2, 1)


def test_the_total_is_the_weighted_sum_and_the_mean_over_members() -> None:
    losses = {"score": torch.tensor([[1.0, 3.0], [5.0, 7.0]]), "comparison": torch.ones(2, 1)}
    factors = {"score": 0.5, "comparison": torch.tensor([[2.0], [4.0]])}
    # Members: 0.5 * 4 + 2 = 4, and 0.5 * 12 + 4 = 10.
    assert weighted_total(losses, factors).item() == pytest.approx(7.0)
    with pytest.raises(ValueError, match="got none"):
        weighted_total({}, {})


def test_bad_weights_are_named() -> None:
    with pytest.raises(ValueError, match="score_weight must be a finite number >= 0, got -1"):
        LossWeights(score_weight=-1)
    with pytest.raises(ValueError, match="language_weight .* got nan"):
        LossWeights(language_weight=float("nan"))
    with pytest.raises(ValueError, match="got 0 for all"):
        LossWeights(score_weight=0, comparison_weight=0, language_weight=0)
