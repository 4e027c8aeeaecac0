"""Responses of a reference policy to given prompts: what the scores of reward models start from."""

from __future__ import annotations

from collections.abc import Sequence

from textgym.agents.supervised.response_sampling import sample_responses
from textgym.models.loading import load_causal_lm, resolve_device
from textgym.tokenizer import Tokenizer

TokenIds = tuple[int, ...]


def reference_sequences(
    reference_model: str,
    prompts: Sequence[TokenIds],
    tokenizer: Tokenizer,
    *,
    max_new_tokens: int,
    batch_tokens: int,
    seed: int = 0,
    device: str = "auto",
    progress: bool = False,
) -> list[TokenIds]:
    """Return one sequence for each prompt: the prompt and a sampled response.

    Args:
        reference_model: Folder or hub name of a causal LM.
        prompts: R prompts of at least one token.
        tokenizer: Says where responses end and which ids there are.
        max_new_tokens: Longest response.
        batch_tokens: Prompt tokens at a time.
        seed: Seed of the draws.
        device: As `resolve_device`.
        progress: Show a bar with the time left.
    """
    responses = sample_responses(
        load_causal_lm(reference_model, device=resolve_device(device), dtype="float32"),
        prompts,
        eos_ids=tokenizer.eos_ids,
        max_new_tokens=max_new_tokens,
        vocab_size=tokenizer.vocab_size,
        seed=seed,
        batch_size=max(1, batch_tokens // max(map(len, prompts))),
        label="reference samples",
        progress=progress,
    )
    return [prompt + response for prompt, response in zip(prompts, responses, strict=True)]
