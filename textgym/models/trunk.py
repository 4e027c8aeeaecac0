"""A causal language model as trunk (hidden states) and head (logits), checked by running both.

Shape letters: R rows, T tokens, D width of the last hidden state, V rows of the output layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

# Relative difference that a model may show between its own logits and head(trunk(ids)). The two run
# the same operations, so any real difference (soft-capping, scaling) stands far above it.
TOLERANCE = 1e-4
WINDOW_NAMES = (
    "sliding_window",
    "window_size",
    "attention_window",
    "attention_window_size",
    "attention_chunk_size",
    "local_attention",
)


def trunk_and_head(model: Any) -> tuple[nn.Module, nn.Module]:
    """Split a model so that `head(trunk(input_ids=ids).last_hidden_state)` are its logits.

    Returns:
        The trunk, giving `.last_hidden_state` (R, T, D), and the head, (…, D) to (…, V).

    Raises:
        ValueError: The model does more to its logits than a linear head does, or has no head.
    """
    trunk, head = model.base_model, model.get_output_embeddings()
    if head is None or trunk is model:
        raise ValueError(f"{_name(model)} has no output layer; expected a causal language model")
    ids = torch.arange(3, device=model.device).unsqueeze(0)
    ids %= len(model.get_input_embeddings().weight)
    with torch.no_grad():
        expected = model(input_ids=ids, use_cache=False).logits.float()
        actual = head(hidden_states(trunk, ids)).float()
    if actual.shape != expected.shape or not _agree(actual, expected):
        raise ValueError(
            f"the logits of {_name(model)} are not a linear layer on its last hidden state (they "
            f"are capped or scaled); expected a model without such a step"
        )
    return trunk, head


def hidden_states(
    trunk: Any,
    ids: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    position_ids: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the last hidden states of a full forward, (R, T, D), without a cache.

    With right-padded rows no mask is needed: attention is causal, so padding behind a token never
    reaches it.
    """
    if attention_mask is None:
        attention_mask = torch.ones_like(ids)
    return trunk(
        input_ids=ids,
        attention_mask=attention_mask,
        position_ids=position_ids,
        use_cache=False,
    ).last_hidden_state


def head_width(head: nn.Module) -> int:
    """Return D, the width of the hidden states that the head reads."""
    return int(_weight(head).shape[-1])


def head_place(head: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return device and dtype of the head's weights."""
    return _weight(head).device, _weight(head).dtype


def _weight(head: nn.Module) -> torch.Tensor:
    weight = head.weight
    assert isinstance(weight, torch.Tensor), "an output layer has a weight"
    return weight


class CannotKeepSlots(ValueError):
    """A model whose states cannot be kept in one cache slot per row."""


def check_positions(model: Any, width: int) -> None:
    """Check that the model has `width` positions.

    Raises:
        ValueError: Too few; the message names the model.
    """
    settings = model.config.get_text_config().to_dict()
    positions = settings.get("max_position_embeddings") or settings.get("n_positions")
    if positions is not None and width > positions:
        raise ValueError(
            f"{_name(model)} has {positions} positions (max_position_embeddings), expected at "
            f"least {width}: max_prompt_tokens plus max_new_tokens"
        )


def check_attends_fully(model: Any, width: int) -> None:
    """Check that every token of `width` can attend to all before it, from one plain cache.

    Raises:
        CannotKeepSlots: A window narrower than `width`, or layers that are not attention.
        ValueError: Too few positions; the messages name the model.
    """
    check_positions(model, width)
    config = model.config.get_text_config()
    settings = config.to_dict()
    kinds = set(settings.get("layer_types") or settings.get("attention_layers") or ())
    window = min(_windows(settings), default=None)
    slides = bool(kinds & {"sliding_attention", "local"}) if kinds else window is not None
    if slides and (window is None or window < width):
        raise CannotKeepSlots(
            f"{_name(model)} has sliding-window layers of {window} tokens, expected full attention "
            f"or a window of at least {width} (max_prompt_tokens plus max_new_tokens)"
        )
    others = sorted(kinds - {"full_attention", "sliding_attention", "global", "local"})
    if others or "num_attention_heads" not in {*settings, *config.attribute_map}:
        raise CannotKeepSlots(
            f"{_name(model)} has layers of the kind {', '.join(others) or 'recurrent'}, expected "
            f"attention only: such states cannot be kept per row"
        )


def _windows(settings: dict[str, Any]) -> list[int]:
    """Return the widths of attention windows that a config names; architectures differ in names."""
    return [settings[name] for name in WINDOW_NAMES if isinstance(settings.get(name), int)]


def _agree(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    scale = expected.abs().max().clamp_min(1e-6)
    return bool((actual - expected).abs().max() <= TOLERANCE * scale)


def _name(model: Any) -> str:
    return f"{type(model).__name__} {model.name_or_path!r}"
