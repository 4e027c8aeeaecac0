"""How a trained transformer is written: a folder that Hugging Face's classes load."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel

from textgym.tokenizer import Tokenizer


def save_language_model(
    model: PreTrainedModel, tokenizer: Tokenizer, folder: Path, dtype: torch.dtype | None = None
) -> None:
    """Write an ordinary Hugging Face folder with the tokenizer and a generation config.

    Args:
        model: A causal LM or a sequence classifier; it is not changed.
        tokenizer: Written beside it.
        folder: An existing folder.
        dtype: Of the weights on disk; the model's own where None.
    """
    stored: Any = model
    if dtype is not None and dtype != model.dtype:
        stored = copy.deepcopy(model)
        stored.to(dtype)
    stored.save_pretrained(folder)
    tokenizer.save(folder)
    if model.can_generate():
        pad = None if tokenizer.hf is None else tokenizer.hf.pad_token_id
        eos = list(tokenizer.eos_ids)
        GenerationConfig(
            eos_token_id=eos[0] if len(eos) == 1 else eos, pad_token_id=pad, do_sample=True
        ).save_pretrained(folder)
