"""Next-token training of a causal language model on pairs of prompt and response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from textgym.agents.supervised.text_data import TextPair
from textgym.agents.supervised.token_batches import right_padded, sorted_batches
from textgym.tokenizer import Tokenizer, end_token


@dataclass(frozen=True, kw_only=True)
class EncodedPair:
    """A prompt and its response as one row of ids; the response begins at `prompt_length`.

    `is_own` says of each response token whether it is learned, empty where all are.
    """

    ids: tuple[int, ...]
    prompt_length: int
    is_own: tuple[bool, ...] = ()


def encode_turns(pair: TextPair, tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """Return the ids of a response, end tokens behind own turns, and which ids are learned."""
    ids: list[int] = []
    is_own: list[bool] = []
    for own, text in pair.turns:
        turn = [*tokenizer.encode(text), *(end_token(tokenizer) if own and pair.ends_turns else ())]
        ids += turn
        is_own += [own] * len(turn)
    return ids, is_own


class LanguageModelling:
    """Next-token loss over encoded pairs; see `supervised.Objective`."""

    def __init__(
        self, model: PreTrainedModel, pairs: Sequence[EncodedPair], loss_on: str = "response"
    ) -> None:
        """Take the model and at least one pair; `loss_on` as in `SFTConfig`."""
        self.model, self.pairs, self.loss_on = model, pairs, loss_on
        self.costs = np.array([len(pair.ids) for pair in pairs], dtype=np.int64)

    def loss(self, items: np.ndarray) -> Tensor:
        """Return the mean loss of the items' tokens, in nats."""
        losses, _ = token_losses(self.model, [self.pairs[i] for i in items], self.loss_on)
        return losses.mean()


def token_losses(
    model: PreTrainedModel, pairs: Sequence[EncodedPair], loss_on: str = "response"
) -> tuple[Tensor, Tensor]:
    """Loss of each learned token of a batch; logits are computed for these tokens only.

    Returns:
        Losses (M,) float32 in nats, and the row (M,) int64 of the batch each belongs to.
    """
    ids, lengths = right_padded([pair.ids for pair in pairs])
    first = torch.tensor([pair.prompt_length if loss_on == "response" else 1 for pair in pairs])
    columns = torch.arange(ids.shape[1])
    learned = (columns >= first.clamp(min=1)[:, None]) & (columns < lengths[:, None])
    for row, pair in enumerate(pairs):
        if pair.is_own:
            start = pair.prompt_length
            learned[row, start : start + len(pair.is_own)] &= torch.tensor(pair.is_own)
    rows, places = learned.nonzero(as_tuple=True)
    device = model.device
    hidden = model.base_model(input_ids=ids.to(device), use_cache=False).last_hidden_state
    # The token at place t is predicted from the state at t - 1.
    logits = model.get_output_embeddings()(hidden[rows.to(device), (places - 1).to(device)])
    losses = F.cross_entropy(logits.float(), ids[rows, places].to(device), reduction="none")
    return losses, rows.to(device)


def held_out_losses(
    model: PreTrainedModel, pairs: Sequence[EncodedPair], batch_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Summed response loss in nats and number of tokens of each pair, two (R,) arrays."""
    costs = np.array([len(pair.ids) for pair in pairs], dtype=np.int64)
    counts = costs - np.array([max(1, pair.prompt_length) for pair in pairs])
    counts -= np.array([len(pair.is_own) - sum(pair.is_own) for pair in pairs])
    sums = np.zeros(len(pairs))
    model.eval()
    with torch.no_grad():
        for items in sorted_batches(costs, batch_tokens):
            losses, rows = token_losses(model, [pairs[i] for i in items])
            totals = torch.zeros(len(items), device=losses.device).index_add_(0, rows, losses)
            sums[items] = totals.cpu().numpy()
    return sums, counts
