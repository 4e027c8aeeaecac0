"""Responses sampled in batches with a key-value cache: for preference data and evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm
from transformers import DynamicCache, PreTrainedModel

TokenIds = tuple[int, ...]
_COMPACT_BELOW = 0.75  # rows still writing, as a share, below which finished rows are dropped


def sample_responses(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    eos_ids: Sequence[int],
    max_new_tokens: int,
    vocab_size: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    batch_size: int = 256,
    label: str = "sampling",
    progress: bool = False,
) -> list[TokenIds]:
    """Sample one response to each prompt.

    Args:
        model: A causal LM in eval mode.
        prompts: R lists of token ids, each of at least one.
        eos_ids: Tokens that end a response; the end token is part of it.
        max_new_tokens: Longest response, at least 1.
        vocab_size: Ids from here on (padded rows of the embedding) are never drawn.
        temperature: Of the softmax; 0 takes the most likely token.
        seed: Seed of the draws.
        batch_size: Rows at a time; prompts of like length go together.
        label: Shown in front of the progress bar.
        progress: Show the bar with the time left.

    Returns:
        R responses as token ids, in the order of the prompts.
    """
    generator = torch.Generator(device=model.device).manual_seed(seed)
    order = np.argsort([len(prompt) for prompt in prompts], kind="stable")
    found: list[TokenIds] = [()] * len(prompts)
    sampler = _Sampler(model, tuple(eos_ids), max_new_tokens, vocab_size, temperature, generator)
    with tqdm(total=len(prompts), desc=label, disable=not progress) as bar:
        for start in range(0, len(prompts), batch_size):
            rows = order[start : start + batch_size]
            for row, response in zip(rows, sampler.run([prompts[i] for i in rows]), strict=True):
                found[row] = response
            bar.update(len(rows))
    return found


class _Sampler:
    """Left-padded batched decoding; rows that have ended leave the batch now and then."""

    def __init__(
        self,
        model: PreTrainedModel,
        eos_ids: TokenIds,
        max_new_tokens: int,
        vocab_size: int | None,
        temperature: float,
        generator: torch.Generator,
    ) -> None:
        self.model, self.max_new_tokens, self.vocab_size = model, max_new_tokens, vocab_size
        self.eos = torch.tensor(eos_ids, dtype=torch.int64, device=model.device)
        self.temperature, self.generator = temperature, generator

    @torch.inference_mode()
    def run(self, prompts: Sequence[Sequence[int]]) -> list[TokenIds]:
        """Sample one response for each prompt of one batch."""
        ids, mask = _left_padded(prompts, self.model.device)
        cache = DynamicCache(config=self.model.config)
        rows = torch.arange(len(prompts), device=ids.device)
        drawn = torch.full((len(prompts), self.max_new_tokens), -1, device=ids.device)
        alive = torch.ones_like(rows, dtype=torch.bool)
        for step in range(self.max_new_tokens):
            tokens = self._next(ids, mask, cache)
            drawn[rows[alive], step] = tokens[alive]
            alive = alive & ~torch.isin(tokens, self.eos)
            left = int(alive.sum())
            if left == 0:
                break
            if left < _COMPACT_BELOW * alive.numel():
                keep = alive.nonzero().squeeze(1)
                cache.batch_select_indices(keep)
                tokens, mask, rows, alive = tokens[keep], mask[keep], rows[keep], alive[keep]
            ids = tokens.unsqueeze(1)
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        return [tuple(int(i) for i in row if i >= 0) for row in drawn.cpu().numpy()]

    def _next(self, ids: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1, : self.vocab_size]
        if self.temperature == 0:
            return logits.argmax(dim=-1)
        weights = torch.softmax(logits.float() / self.temperature, dim=-1)
        return torch.multinomial(weights, 1, generator=self.generator).squeeze(1)


def _left_padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros((len(prompts), width), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.int64)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)
