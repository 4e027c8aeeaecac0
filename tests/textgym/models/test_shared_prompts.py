"""States behind prompts that are read once, against those of a full forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from textgym.models.shared_prompts import (
    SharedPrompts,
    can_share_prompts,
    states_after_prompts,
)
from textgym.models.trunk import hidden_states, trunk_and_head

ARCHITECTURES = ("llama", "gpt2", "gpt_neox", "qwen2", "qwen3", "gemma", "mistral", "opt")
# Prompts of 5, 5, 3 and 5 tokens; the first, second and last row share theirs.
LENGTHS, OWNERS = torch.tensor([5, 5, 3, 5]), torch.tensor([1, 1, 0, 1])
PROMPTS = SharedPrompts(lengths=LENGTHS, owners=OWNERS, first=torch.tensor([2, 0]))
ROWS = torch.tensor([0, 0, 1, 1, 1, 2, 2, 3])
COLUMNS = torch.tensor([4, 5, 4, 7, 6, 2, 8, 4])


def sequences() -> torch.Tensor:
    ids = torch.randint(4, 300, (4, 9), generator=torch.Generator().manual_seed(0))
    ids[[1, 3], :5] = ids[0, :5]
    return ids


def gradients(model: Any, states: torch.Tensor) -> dict[str, torch.Tensor]:
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
    assert can_share_prompts(trunk, 9)
    expected = hidden_states(trunk, sequences())[ROWS, COLUMNS]
    found = states_after_prompts(trunk, sequences(), ROWS, COLUMNS, PROMPTS)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    wanted, got = gradients(model, expected), gradients(model, found)
    assert got.keys() == wanted.keys()
    for name, gradient in got.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-4)


def test_each_prompt_is_read_once(make_tiny_model: Callable[..., Any]) -> None:
    trunk, _ = trunk_and_head(make_tiny_model("llama"))
    seen: list[int] = []
    trunk.layers[0].mlp.register_forward_hook(
        lambda _, inputs, __: seen.append(inputs[0][..., 0].numel())
    )
    states_after_prompts(trunk, sequences(), ROWS, COLUMNS, PROMPTS)
    # Two prompts of at most 4 tokens but the last; then four rows of at most 7 cells.
    assert seen == [2 * 4, 4 * 7]


def test_padding_behind_the_last_position_is_harmless(make_tiny_model: Callable[..., Any]) -> None:
    # GPT-2 has a table of positions: cells that pad a short prompt's row must stay inside it.
    trunk, _ = trunk_and_head(make_tiny_model("gpt2", n_positions=9))
    rows, columns = torch.tensor([0, 2]), torch.tensor([8, 8])
    found = states_after_prompts(trunk, sequences(), rows, columns, PROMPTS)
    expected = hidden_states(trunk, sequences())[rows, columns]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_models_without_one_plain_cache_do_not_share(make_tiny_model: Callable[..., Any]) -> None:
    slides = make_tiny_model("mistral", sliding_window=4)
    assert not can_share_prompts(trunk_and_head(slides)[0], 6)


def test_a_window_that_is_narrower_than_the_sequences_is_not_shared(
    make_tiny_model: Callable[..., Any],
) -> None:
    # GPT-Neo counts its window in cells of the cache, which stand apart behind a short prompt.
    kinds = {"num_layers": 2, "attention_types": [[["global", "local"], 1]], "window_size": 7}
    trunk, _ = trunk_and_head(make_tiny_model("gpt_neo", **kinds))
    assert can_share_prompts(trunk, 7) and not can_share_prompts(trunk, 8)


def test_a_vocabulary_of_three_tokens(make_tiny_model: Callable[..., Any]) -> None:
    trunk, _ = trunk_and_head(make_tiny_model("llama", vocab_size=3, pad_token_id=None))
    assert can_share_prompts(trunk, 9)


def test_a_trunk_that_refuses_caches_is_read_in_full(
    make_tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk, _ = trunk_and_head(make_tiny_model("llama"))
    honest = trunk.forward

    def refuses(**kwargs: Any) -> Any:
        if kwargs.get("past_key_values") is not None:
            raise NotImplementedError("no caches here")
        return honest(**kwargs)

    monkeypatch.setattr(trunk, "forward", refuses)
    assert not can_share_prompts(trunk, 9)


def test_a_trunk_that_computes_something_else_behind_a_cache_is_found_out(
    make_tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk, _ = trunk_and_head(make_tiny_model("llama"))
    honest = trunk.forward

    def forgets_positions(**kwargs: Any) -> Any:
        return honest(**{**kwargs, "position_ids": None})

    monkeypatch.setattr(trunk, "forward", forgets_positions)
    assert not can_share_prompts(trunk, 9)
