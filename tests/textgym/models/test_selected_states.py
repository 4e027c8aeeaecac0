"""States of some positions against those of a full forward: values, gradients, work saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from textgym.models.selected_states import selected_states
from textgym.models.trunk import hidden_states, trunk_and_head

ARCHITECTURES = ("llama", "gpt2", "gpt_neox", "qwen2", "qwen3", "gemma", "mistral", "opt")
WITHOUT_MLP = {"opt"}
ROWS, COLUMNS = torch.tensor([0, 0, 2, 1]), torch.tensor([3, 8, 0, 5])


def _gradients(model: Any, states: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (states * torch.arange(states.shape[-1])).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_states_and_gradients_are_those_of_a_full_forward(
    make_tiny_model: Callable[..., Any], architecture: str
) -> None:
    model = make_tiny_model(architecture)
    model.requires_grad_(True)
    trunk, _ = trunk_and_head(model)
    ids = torch.randint(4, 300, (3, 9), generator=torch.Generator().manual_seed(0))
    expected = hidden_states(trunk, ids)[ROWS, COLUMNS]
    found = selected_states(trunk, ids, ROWS, COLUMNS)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    wanted = _gradients(model, expected)
    for name, gradient in _gradients(model, found).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_last_mlp_reads_the_cells_alone(
    make_tiny_model: Callable[..., Any], architecture: str
) -> None:
    model = make_tiny_model(architecture)
    trunk, _ = trunk_and_head(model)
    seen: list[int] = []
    names = [name for name, _ in trunk.named_modules() if name.endswith(".mlp")]
    assert bool(names) != (architecture in WITHOUT_MLP)
    for name in names:
        # Within the block its hook comes first, so that this one sees what the MLP is given.
        trunk.get_submodule(name).register_forward_hook(
            lambda _, inputs, __: seen.append(inputs[0][..., 0].numel())
        )
    ids = torch.randint(4, 300, (3, 9), generator=torch.Generator().manual_seed(0))
    selected_states(trunk, ids, ROWS, COLUMNS)
    assert seen == ([3 * 9] * (len(names) - 1) + [len(ROWS)] if names else [])
    seen.clear()
    hidden_states(trunk, ids)
    assert seen == [3 * 9] * len(names)  # nothing is left behind
