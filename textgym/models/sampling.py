"""From logits to actions: mask, action subset and temperature in one place, all in float32.

The policy when sampling, its update and the reference use `action_logits`, so that none of them
can normalise over other actions than the others.

Shape letters: R rows, V rows of the output layer (padding included), A actions, D width of the
hidden states.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

LOGITS_PER_CHUNK = 1 << 25  # 128 MiB in float32
# Larger output layers are run again in the backward pass, however few the states: callers come once
# per micro-batch, and what each call kept would add up to the logits of a whole minibatch.
LARGEST_KEPT_VOCABULARY = 8192

AllowedRows = Callable[[int, int], torch.Tensor]
"""Gives the (stop - start, A) bool of allowed actions for rows start to stop."""


def action_logits(
    logits: torch.Tensor,
    action_tokens: torch.Tensor | None = None,
    allowed: torch.Tensor | None = None,
    temperature: float = 1.0,
    num_actions: int | None = None,
) -> torch.Tensor:
    """Return the logits of the actions, (R, A) float32: softmax of them is the policy.

    Args:
        logits: (R, V) of a language model.
        action_tokens: (A,) int64, the token of each action; None where action i is token i.
        allowed: (R, A) bool, True where an action may be taken; None for all. A mask on an
            accelerator must have been checked on the host (`check_allowed`), or it would have to
            be waited for.
        temperature: Above 0; divides the logits.
        num_actions: A, where `action_tokens` is None: what lies beyond (padding of the vocabulary)
            is cut off. None keeps all V.

    Raises:
        ValueError: A row in which nothing is allowed, a temperature that is not above 0, or fewer
            than `num_actions` logits.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature!r}")
    chosen = logits if action_tokens is None else logits[:, action_tokens]
    if action_tokens is None and num_actions is not None:
        if logits.shape[1] < num_actions:
            raise ValueError(f"expected logits of {num_actions} actions, got {logits.shape[1]}")
        chosen = chosen[:, :num_actions]
    chosen = chosen.float()
    if temperature != 1.0:
        chosen = chosen / temperature
    if allowed is None:
        return chosen
    if allowed.device.type == "cpu":
        check_allowed(allowed.numpy())
    return chosen.masked_fill(~allowed, -torch.inf)


def check_allowed(allowed: np.ndarray) -> None:
    """Raise ValueError for a row of a mask (R, A) in which nothing is allowed."""
    is_possible = np.asarray(allowed).any(axis=1)
    if not is_possible.all():
        row = int(np.flatnonzero(~is_possible)[0])
        raise ValueError(f"the mask allows no action in row {row}; expected at least one")


def log_probs_of(logits: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """Return log pi(a) of one action per row, (R,) float32, nats; -inf where it is not allowed."""
    log_probs = torch.log_softmax(logits.float(), dim=1)
    return log_probs.gather(1, actions.unsqueeze(1)).squeeze(1)


def sample(logits: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """Draw one action per row from softmax(logits), (R,) int64."""
    # Inverse of the cumulative distribution: one uniform number per row, an order of magnitude
    # faster on a CPU than torch.multinomial.
    cumulative = torch.softmax(logits.float(), dim=1).cumsum(dim=1)
    total = cumulative[:, -1:]
    drawn = torch.rand(total.shape, generator=generator, device=logits.device) * total
    # Rounding may reach the total, behind which there is no action.
    drawn = torch.minimum(drawn, torch.nextafter(total, torch.zeros_like(total)))
    # The first action whose cumulative probability exceeds the draw, so never one of probability 0.
    return torch.searchsorted(cumulative, drawn, right=True).squeeze(1)


def greedy(logits: torch.Tensor) -> torch.Tensor:
    """Return the most likely action per row, (R,) int64, the first among equals."""
    return logits.argmax(dim=1)


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """Return the entropy of softmax(logits) per row, (R,) float32, nats."""
    log_probs = torch.log_softmax(logits.float(), dim=1)
    # Where an action is not allowed, p log p is 0, not 0 times minus infinity.
    finite = log_probs.masked_fill(log_probs == -torch.inf, 0.0)
    return -(log_probs.exp() * finite).sum(dim=1)


def chunked_log_probs_and_entropy(
    hidden: torch.Tensor,
    head: torch.nn.Module,
    actions: torch.Tensor,
    *,
    action_tokens: torch.Tensor | None = None,
    allowed_rows: AllowedRows | None = None,
    temperature: float = 1.0,
    num_actions: int | None = None,
    with_entropy: bool = True,
    chunk: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return log pi(a) and entropies of many states without holding all their logits.

    Where gradients are on, each chunk's logits are computed again in the backward pass, so that
    the peak is one chunk of (chunk, V) either way. Only a single chunk of a small vocabulary is
    kept instead: `is_recomputed`.

    Args:
        hidden: (R, D) last hidden states.
        head: The output layer, (…, D) to (…, V).
        actions: (R,) int64 in [0, A).
        action_tokens: As in `action_logits`.
        allowed_rows: Gives the mask of a range of rows when it is needed; None for all allowed.
        temperature: Above 0.
        num_actions: As in `action_logits`.
        with_entropy: Whether to compute entropies.
        chunk: Rows per chunk, at least 1; None fits `LOGITS_PER_CHUNK`.

    Returns:
        (R,) float32 log-probabilities and (R,) float32 entropies (None without).
    """

    def one_chunk(
        states: torch.Tensor, chosen: torch.Tensor, allowed: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = action_logits(head(states), action_tokens, allowed, temperature, num_actions)
        entropies = entropy(logits) if with_entropy else logits.new_zeros(len(chosen))
        return log_probs_of(logits, chosen), entropies

    num_rows = next(head.parameters()).shape[0]
    if chunk is None:
        chunk = max(1, LOGITS_PER_CHUNK // num_rows)
    parts = []
    recompute = torch.is_grad_enabled() and is_recomputed(len(actions), num_rows, chunk)
    for start in range(0, len(actions), chunk):
        stop = min(start + chunk, len(actions))
        allowed = None if allowed_rows is None else allowed_rows(start, stop)
        arguments = hidden[start:stop], actions[start:stop], allowed
        if recompute:
            parts.append(checkpoint(one_chunk, *arguments, use_reentrant=False))
        else:
            parts.append(one_chunk(*arguments))
    if not parts:
        empty = hidden.new_zeros(0, dtype=torch.float32)
        return empty, empty if with_entropy else None
    log_probs = torch.cat([part[0] for part in parts])
    return log_probs, torch.cat([part[1] for part in parts]) if with_entropy else None


def is_recomputed(num_states: int, vocabulary: int, chunk: int | None = None) -> bool:
    """Tell whether the backward pass runs the output layer again instead of keeping its softmax.

    Args:
        num_states: R of one call.
        vocabulary: V.
        chunk: Rows per chunk, None for those that fit `LOGITS_PER_CHUNK`.
    """
    largest = max(1, LOGITS_PER_CHUNK // vocabulary) if chunk is None else chunk
    return num_states > largest or vocabulary > LARGEST_KEPT_VOCABULARY
