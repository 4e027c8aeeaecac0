"""Acting through the policy's caches equals the library's full forward, for every architecture.

Prompts are ragged, rows reset one by one, the weights change on the way, and `episode_starts` is
right, wrong or missing: it is a hint.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from textgym.agents import TransformerPolicy

ARCHITECTURES = ("llama", "gpt2", "gpt_neox", "qwen2", "qwen3", "gemma", "mistral", "opt")
VOCAB, WIDTH, NUM_ROWS, NUM_STEPS = 320, 24, 5, 16
ATOL = 1e-5

Hints = Callable[[np.ndarray, np.random.Generator], np.ndarray | None]
HINTS: dict[str, Hints] = {
    "right": lambda starts, _: starts,
    "inverted": lambda starts, _: ~starts,
    "random": lambda starts, rng: rng.random(len(starts)) < 0.5,
    "missing": lambda starts, _: None,
}


class Rows:
    """Rows of token ids that grow by what was written and start anew one by one."""

    def __init__(self, seed: int) -> None:
        """Begin every row with a prompt of its own length."""
        self.rng = np.random.default_rng(seed)
        self.obs = np.full((NUM_ROWS, WIDTH), VOCAB)
        self.lengths = np.zeros(NUM_ROWS, int)
        for row in range(NUM_ROWS):
            self.reset(row)

    def reset(self, row: int) -> None:
        self.lengths[row] = self.rng.integers(1, 12)
        self.obs[row] = VOCAB
        self.obs[row, : self.lengths[row]] = self.rng.integers(0, VOCAB, self.lengths[row])

    def write(self, actions: np.ndarray) -> np.ndarray:
        """Append one token per row; return which rows began anew, (N,) bool."""
        self.obs = self.obs.copy()
        self.obs[np.arange(NUM_ROWS), self.lengths] = actions
        self.lengths += 1
        starts = (self.lengths == WIDTH) | (self.rng.random(NUM_ROWS) < 0.15)
        for row in np.flatnonzero(starts):
            self.reset(row)
        return starts


def full_log_probs(policy: TransformerPolicy, rows: Rows, actions: np.ndarray) -> np.ndarray:
    """The library's own log-probabilities, row by row, without padding or cache."""
    found = []
    with th.no_grad():
        for ids, length, action in zip(rows.obs, rows.lengths, actions, strict=True):
            logits = policy.language_model(th.tensor(ids[None, :length])).logits[0, -1, :VOCAB]
            found.append(float(th.log_softmax(logits.double(), 0)[action]))
    return np.array(found)


@pytest.mark.parametrize("hints", HINTS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cached_equals_full_forward(
    make_model_folder: Callable[..., Path], architecture: str, hints: str
) -> None:
    policy: Any = TransformerPolicy(
        spaces.Box(0, VOCAB, (WIDTH,), np.int64),
        spaces.Discrete(VOCAB),
        lambda _: 1e-3,
        model=str(make_model_folder(architecture)),
        seed=0,
    )
    rows, state = Rows(seed=1), policy.new_state(NUM_ROWS)
    starts, n_resets = np.ones(NUM_ROWS, bool), 0
    for step in range(NUM_STEPS):
        if step == NUM_STEPS // 2:
            policy.set_training_mode(True)
            with th.no_grad():
                for parameter in policy.parameters():
                    parameter.mul_(0.9)
            policy.set_training_mode(False)
        actions, _, log_probs = policy(rows.obs, state, HINTS[hints](starts, rows.rng))
        expected = full_log_probs(policy, rows, actions.numpy())
        np.testing.assert_allclose(log_probs, expected, atol=ATOL, rtol=0)
        starts = rows.write(actions.numpy())
        n_resets += int(starts.sum())
    assert n_resets >= 5
