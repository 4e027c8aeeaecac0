"""Packed segments, naive per-step computations and gradients, for tests of the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from textgym.agents import TransformerPolicy

WIDTH, VOCAB = 14, 320
SPACE = spaces.Box(0, VOCAB, (WIDTH,), np.int64)


def make_policy(folder: Path, **kwargs: Any) -> TransformerPolicy:
    actions = spaces.Discrete(len(kwargs["action_tokens"]) if "action_tokens" in kwargs else VOCAB)
    return TransformerPolicy(SPACE, actions, lambda _: 1e-3, model=str(folder), seed=0, **kwargs)


def shake_value_head(policy: TransformerPolicy) -> None:
    with th.no_grad():
        policy.value_head.weight.normal_(generator=th.Generator().manual_seed(1))


def forbid_first(ids: np.ndarray, lengths: np.ndarray, prompt_lengths: np.ndarray) -> np.ndarray:
    """Forbid action 0 at the first response token, action 1 at the others."""
    allowed = np.ones((len(ids), VOCAB), bool)
    is_first = lengths == prompt_lengths
    allowed[is_first, 0] = False
    allowed[~is_first, 1] = False
    return allowed


def segments() -> dict[str, th.Tensor]:
    """Three ragged segments; the second begins in the middle of its response."""
    rng = np.random.default_rng(0)
    ids = np.full((3, 12), VOCAB)
    is_action = np.zeros((3, 12), bool)
    prompt_lengths = np.array([3, 2, 7])
    for row, (first, end) in enumerate([(3, 8), (5, 12), (7, 9)]):
        ids[row, :end] = rng.integers(2, VOCAB, end)
        is_action[row, first:end] = True
    return {
        "ids": th.tensor(ids),
        "is_action": th.tensor(is_action),
        "prompt_lengths": th.tensor(prompt_lengths),
    }


def naive(policy: TransformerPolicy, packed: dict[str, th.Tensor], temperature: float) -> Any:
    """One full forward per step, softmax by hand."""
    log_probs, values, entropies = [], [], []
    for ids, is_action, prompt in zip(*packed.values(), strict=True):
        for position in th.nonzero(is_action).flatten().tolist():
            state = ids[:position].unsqueeze(0)
            out = policy.language_model(input_ids=state, output_hidden_states=True)
            logits = out.logits[0, -1].double() / temperature
            if policy.mask_fn is not None:
                allowed = policy.mask_fn(
                    state.numpy(), np.array([position]), np.array([int(prompt)])
                )[0]
                logits[th.tensor(~allowed)] = -th.inf
            probabilities = th.softmax(logits, 0)
            log_probs.append(float(probabilities[ids[position]].log()))
            kept = probabilities[probabilities > 0]
            entropies.append(float(-(kept * kept.log()).sum()))
            hidden = out.hidden_states[-1][0, -1]
            values.append(float(policy.value_head(hidden)))
    return values, log_probs, entropies


def shared_segments() -> dict[str, th.Tensor]:
    """Four of each of the three segments, of the same prompt but with another response each."""
    packed = {name: value.repeat_interleave(4, dim=0) for name, value in segments().items()}
    rows, columns = th.nonzero(packed["is_action"], as_tuple=True)
    packed["ids"][rows, columns] = (7 * rows + columns * columns) % VOCAB
    return packed


def evaluate(policy: TransformerPolicy, packed: dict[str, th.Tensor]) -> list[np.ndarray]:
    found = policy.evaluate_actions(packed, packed["ids"][packed["is_action"]])
    return [one.detach().numpy() for one in found if one is not None]


def watch_groups(policy: TransformerPolicy, monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Note how many different prompts each forward reads, None where all are read."""
    seen: list[int | None] = []
    evaluate_group = policy._evaluate_group

    def evaluate_and_note(group: Any) -> Any:
        shared = group.shared_prompts
        seen.append(None if shared is None else len(shared.first))
        return evaluate_group(group)

    monkeypatch.setattr(policy, "_evaluate_group", evaluate_and_note)
    return seen


def gradients(policy: TransformerPolicy, packed: dict[str, th.Tensor]) -> dict[str, th.Tensor]:
    values, log_probs, entropies = policy.evaluate_actions(
        packed, packed["ids"][packed["is_action"]]
    )
    loss = log_probs.sum() + values.square().sum()
    if entropies is not None and entropies.requires_grad:
        loss = loss + entropies.sum()
    policy.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None}
