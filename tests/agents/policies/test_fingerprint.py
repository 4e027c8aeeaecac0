"""Weights are told apart by evenly spaced values."""

from __future__ import annotations

import torch
from torch import nn

from textgym.agents.policies.fingerprint import weights_fingerprint


def test_equal_weights_have_one_fingerprint_and_an_update_another() -> None:
    first, second = nn.Linear(100, 40), nn.Linear(100, 40)
    second.load_state_dict(first.state_dict())
    assert weights_fingerprint(first) == weights_fingerprint(second)
    assert len(weights_fingerprint(first)) == 16
    optimizer = torch.optim.Adam(second.parameters(), lr=1e-6)
    second(torch.ones(1, 100)).sum().backward()
    optimizer.step()
    assert weights_fingerprint(first) != weights_fingerprint(second)
    half = nn.Linear(2, 2).bfloat16()
    assert weights_fingerprint(half) == weights_fingerprint(half)
