"""Language models from scratch, described in one string: "scratch:llama,layers=5,width=128"."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

SCRATCH_PREFIX = "scratch:"
KINDS = ("llama", "qwen2", "gpt2")
_DEFAULTS = {"layers": 4, "width": 128, "heads": 4, "kv_heads": 0, "mlp": 0, "positions": 1024}


def is_scratch(model: str) -> bool:
    """Whether the string describes a fresh model."""
    return model.startswith(SCRATCH_PREFIX)


def fresh_causal_lm(
    spec: str, *, vocab_size: int, eos_ids: tuple[int, ...], pad_id: int | None, seed: int
) -> PreTrainedModel:
    """Make a model with seeded random weights, float32, tied embeddings, no dropout.

    Args:
        spec: `scratch:KIND` with any of `layers`, `width`, `heads`, `kv_heads` (heads that share
            keys; by default as many as heads), `mlp` (inner width; by default 8/3 of the width,
            4 times for gpt2) and `positions` (longest sequence).
        vocab_size: Rows of the embedding.
        eos_ids: Tokens that end a response.
        pad_id: Token that fills padding, None where there is none.
        seed: Seed of the weights; global generators are left as they were.

    Raises:
        ValueError: An unknown kind or name, or sizes that do not fit together.
    """
    kind, sizes = parse_scratch(spec)
    settings = _gpt2_settings(sizes) if kind == "gpt2" else _llama_settings(sizes)
    config = AutoConfig.for_model(
        kind,
        vocab_size=vocab_size,
        eos_token_id=list(eos_ids) if len(eos_ids) != 1 else eos_ids[0],
        bos_token_id=None,
        pad_token_id=pad_id,
        tie_word_embeddings=True,
        **settings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def parse_scratch(spec: str) -> tuple[str, dict[str, int]]:
    """Return the kind and the sizes, those that were left out filled in.

    Raises:
        ValueError: See `fresh_causal_lm`.
    """
    kind, *parts = spec.removeprefix(SCRATCH_PREFIX).split(",")
    if kind not in KINDS:
        raise ValueError(f"a fresh model must be one of {KINDS}, got {kind!r} in {spec!r}")
    sizes = dict(_DEFAULTS)
    for part in parts:
        name, _, number = part.strip().partition("=")
        if name not in _DEFAULTS or not number.isdigit() or int(number) == 0:
            raise ValueError(
                f"expected name=number with names among {sorted(_DEFAULTS)}, got {part!r} "
                f"in {spec!r}"
            )
        sizes[name] = int(number)
    sizes["kv_heads"] = sizes["kv_heads"] or sizes["heads"]
    if sizes["width"] % sizes["heads"] or sizes["heads"] % sizes["kv_heads"]:
        raise ValueError(
            f"width must be a multiple of heads, and heads of kv_heads, got {sizes} in {spec!r}"
        )
    return kind, sizes


def _llama_settings(sizes: dict[str, int]) -> dict[str, Any]:
    return {
        "hidden_size": sizes["width"],
        "intermediate_size": sizes["mlp"] or 8 * round(sizes["width"] / 3),
        "num_hidden_layers": sizes["layers"],
        "num_attention_heads": sizes["heads"],
        "num_key_value_heads": sizes["kv_heads"],
        "max_position_embeddings": sizes["positions"],
        "attention_dropout": 0.0,
    }


def _gpt2_settings(sizes: dict[str, int]) -> dict[str, Any]:
    return {
        "n_embd": sizes["width"],
        "n_inner": sizes["mlp"] or None,
        "n_layer": sizes["layers"],
        "n_head": sizes["heads"],
        "n_positions": sizes["positions"],
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }
