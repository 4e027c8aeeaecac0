"""One-label classifiers made from causal language models, and their raw scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging

from textgym.agents.supervised.token_batches import right_padded, sorted_batches
from textgym.models.model_source import cannot_load, is_local_only

TokenIds = tuple[int, ...]


def classifier_from(path: str, *, seed: int) -> Any:
    """Load a causal LM as a one-label classifier: no dropout, head drawn from N(0, 1/(d + 1)).

    Raises:
        ValueError: No model there, or an architecture without a `score` head.
    """
    local = is_local_only(path, "model")
    try:
        with _quietly():  # a missing head is what is wanted here, no reason for a warning
            model = AutoModelForSequenceClassification.from_pretrained(
                path,
                num_labels=1,
                dtype=torch.float32,
                local_files_only=local,
                trust_remote_code=False,
                use_safetensors=True,
            )
    except (OSError, KeyError) as error:
        raise cannot_load(path, "model", error) from error
    head = dict(model.named_children()).get("score")
    if not isinstance(head, torch.nn.Linear):
        raise ValueError(
            f"expected a model whose sequence classifier has a linear head 'score', got {path!r} "
            f"({type(model).__name__})"
        )
    without_dropout(model)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        noise = torch.randn(head.weight.shape, generator=draw)
        head.weight.copy_(noise / math.sqrt(head.in_features + 1))
    return model


@contextmanager
def _quietly() -> Iterator[None]:
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def without_dropout(model: PreTrainedModel) -> None:
    """Set every dropout of a model to 0, in its modules and in what its config says."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(vars(module).get("attention_dropout"), float):
            setattr(module, "attention_dropout", 0.0)  # noqa: B010  (a plain number, no module)
    for name, value in model.config.to_dict().items():
        if isinstance(value, float) and (name.endswith("dropout") or name.endswith("pdrop")):
            setattr(model.config, name, 0.0)


def raw_scores(model: Any, sequences: Sequence[TokenIds]) -> Tensor:
    """One-label head read at each sequence's last token, (R,) float32, before gain and bias."""
    ids, lengths = right_padded(sequences)
    hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
    last = hidden[torch.arange(len(lengths), device=hidden.device), (lengths - 1).to(hidden.device)]
    return model.score(last).squeeze(-1).float()


def token_scores(
    model: Any, sequences: Sequence[TokenIds], starts: Sequence[int], aggregate: str
) -> Tensor:
    """Mean or sum of the head's numbers at each sequence's tokens from its start on, (R,) float32.

    Args:
        model: A one-label classifier.
        sequences: R prompts with their responses.
        starts: Where each response begins, below the sequence's length.
        aggregate: "mean" or "sum".
    """
    ids, lengths = right_padded(sequences)
    hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state
    cells = [
        (row, row, column)
        for row, (start, end) in enumerate(zip(starts, lengths.tolist(), strict=True))
        for column in range(start, end)
    ]
    return scores_of_cells(model, hidden, np.array(cells, dtype=np.int64), aggregate)


def scores_of_cells(model: Any, hidden: Tensor, cells: np.ndarray, aggregate: str) -> Tensor:
    """Mean or sum of the head's numbers over the cells of each sequence, (R,) float32.

    Args:
        model: A one-label classifier.
        hidden: (B, T, D) its last hidden states.
        cells: (K, 3) int64: sequence, row and column; each of the R sequences has at least one.
        aggregate: "mean" or "sum".
    """
    owner, rows, columns = torch.from_numpy(cells).to(hidden.device).unbind(dim=1)
    values = model.score(hidden[rows, columns]).squeeze(-1).float()
    n_sequences = int(cells[:, 0].max()) + 1
    sums = values.new_zeros(n_sequences).index_add(0, owner, values)
    if aggregate == "sum":
        return sums
    return sums / values.new_zeros(n_sequences).index_add(0, owner, torch.ones_like(values))


def score_sequences(
    model: PreTrainedModel,
    sequences: Sequence[TokenIds],
    batch_tokens: int = 16384,
    *,
    starts: Sequence[int] = (),
    token_aggregate: str | None = None,
) -> np.ndarray:
    """Raw scores of any number of sequences, (R,) float32, in batches and without gradients.

    Args:
        model: A one-label classifier.
        sequences: Token ids.
        batch_tokens: Padded tokens of a batch.
        starts: Where responses begin; needed with `token_aggregate`.
        token_aggregate: "mean" or "sum" over a response's tokens; None reads the last token.
    """
    found = np.zeros(len(sequences), dtype=np.float32)
    costs = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    model.eval()
    with torch.no_grad():
        for items in sorted_batches(costs, batch_tokens):
            chosen = [sequences[i] for i in items]
            if token_aggregate is None:
                scores = raw_scores(model, chosen)
            else:
                scores = token_scores(model, chosen, [starts[i] for i in items], token_aggregate)
            found[items] = scores.cpu().numpy()
    return found
