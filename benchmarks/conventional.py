"""The road that trainers take: `generate()` first, then padded teacher-forced passes.

Nothing here uses the environments' dynamics or the slot cache: it is the other side of the ratio.
Letters: B batch, P prompt width, T response width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedModel


@dataclass(frozen=True)
class Generated:
    """A padded batch after generation.

    Attributes:
        ids: (B, P + T) int64, prompts padded on the left, responses on the right.
        attention_mask: (B, P + T) int64, 1 on real tokens.
        prompt_width: P.
        num_tokens: Response tokens up to and including the end token, over the batch.
    """

    ids: torch.Tensor
    attention_mask: torch.Tensor
    prompt_width: int
    num_tokens: int


def generation_config(
    eos_ids: Sequence[int], max_new_tokens: int, **extra: object
) -> GenerationConfig:
    """Plain sampling at temperature 1 from the whole distribution."""
    return GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=max_new_tokens,
        eos_token_id=list(eos_ids),
        pad_token_id=eos_ids[0],
        **extra,
    )


@torch.no_grad()
def generate(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], config: GenerationConfig
) -> Generated:
    """Sample one response to each prompt with transformers' own `generate()`."""
    device = next(model.parameters()).device
    width = max(len(prompt) for prompt in prompts)
    pad = config.pad_token_id
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    response = out[:, width:]
    ended = torch.isin(response, torch.tensor(config.eos_token_id, device=device)).long()
    is_response = (ended.cumsum(1) - ended) == 0
    return Generated(
        ids=out,
        attention_mask=torch.cat([mask, is_response.long()], dim=1),
        prompt_width=width,
        num_tokens=int(is_response.sum()),
    )


@torch.no_grad()
def teacher_forced(model: nn.Module, batch: Generated) -> torch.Tensor:
    """One padded pass of a causal LM: log-probs of the response tokens, (B, T) float32."""
    mask = batch.attention_mask
    positions = (mask.cumsum(1) - mask).clamp(min=0)
    logits = model(input_ids=batch.ids, attention_mask=mask, position_ids=positions).logits
    logits = logits[:, batch.prompt_width - 1 : -1].float()
    response = batch.ids[:, batch.prompt_width :]
    return torch.log_softmax(logits, -1).gather(-1, response.unsqueeze(-1)).squeeze(-1)


@torch.no_grad()
def values_and_score(trunk: nn.Module, head: nn.Module, batch: Generated) -> torch.Tensor:
    """One padded pass of a trunk with a scalar head at every position, (B, P + T) float32."""
    mask = batch.attention_mask
    positions = (mask.cumsum(1) - mask).clamp(min=0)
    hidden = trunk(input_ids=batch.ids, attention_mask=mask, position_ids=positions)
    return head(hidden.last_hidden_state).squeeze(-1).float()
