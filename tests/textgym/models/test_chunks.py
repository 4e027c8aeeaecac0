"""Rows that gain several tokens at once, as where an environment answers: cached = full forward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textgym.models.causal_reference import CausalLMReference
from textgym.models.decoding import open_decoder
from textgym.models.loading import load_causal_lm
from textgym.models.reward_model import SequenceScorer
from textgym.reference import ResponseSequence

ARCHITECTURES = ("llama", "gpt2", "gpt_neox", "qwen2", "qwen3", "gemma", "mistral", "opt")
# Every architecture with slots, and every other way to decode with one of them.
CASES = [*((name, "eager") for name in ARCHITECTURES), ("llama", "static"), ("llama", "full")]
NUM_ROWS, WIDTH, VOCAB, NUM_STEPS = 5, 60, 320, 20


class Conversations:
    """Rows that gain an action each step, and now and then a chunk of 1 to 7 tokens behind it."""

    def __init__(self, seed: int = 0) -> None:
        """Begin with prompts of 3 to 9 tokens."""
        self.rng = np.random.default_rng(seed)
        self.ids = np.full((NUM_ROWS, WIDTH), VOCAB)
        self.lengths = self.rng.integers(3, 10, NUM_ROWS)
        self.prompts = self.lengths.copy()
        self.actions: list[list[int]] = [[] for _ in range(NUM_ROWS)]
        for row, length in enumerate(self.lengths):
            self.ids[row, :length] = self.rng.integers(0, VOCAB, length)

    def act(self, actions: np.ndarray) -> None:
        for row, action in enumerate(actions):
            self.actions[row].append(int(self.lengths[row]))
            self.say(row, [action])
            if self.rng.random() < 0.3 and self.lengths[row] < WIDTH - NUM_STEPS - 7:
                self.say(row, self.rng.integers(0, VOCAB, self.rng.integers(1, 8)).tolist())

    def say(self, row: int, tokens: list[int]) -> None:
        end = self.lengths[row] + len(tokens)
        self.ids[row, self.lengths[row] : end] = tokens
        self.lengths[row] = end

    def sequence(self, row: int) -> ResponseSequence:
        return ResponseSequence(
            ids=self.ids[row, : self.lengths[row]].copy(),
            action_positions=np.array(self.actions[row]),
            prompt_length=int(self.prompts[row]),
        )


def full_logits(model: Any, talk: Conversations) -> torch.Tensor:
    with torch.no_grad():
        rows = zip(talk.ids, talk.lengths, strict=True)
        parts = [model(torch.from_numpy(row[None, :n])).logits[0, -1] for row, n in rows]
    return torch.stack(parts)


@pytest.mark.parametrize(("architecture", "decode"), CASES)
def test_decoding_with_chunks_equals_the_full_forward(
    make_tiny_model: Callable[..., Any], architecture: str, decode: str
) -> None:
    model = make_tiny_model(architecture)
    decoder = open_decoder(model, NUM_ROWS, WIDTH, decode)
    talk = Conversations()
    for _ in range(NUM_STEPS):
        logits = decoder.logits(decoder.advance(talk.ids, talk.lengths))
        torch.testing.assert_close(logits, full_logits(model, talk), atol=1e-5, rtol=1e-5)
        # A chunk is no new episode.
        assert decoder.prompt_lengths.tolist() == talk.prompts.tolist()
        talk.act(talk.rng.integers(0, VOCAB, NUM_ROWS))
    assert all(np.diff(positions).max() > 1 for positions in talk.actions)


def test_a_chunk_is_computed_once_and_the_rest_of_the_row_not_again(
    make_tiny_model: Callable[..., Any],
) -> None:
    decoder = open_decoder(make_tiny_model(), NUM_ROWS, WIDTH)
    talk = Conversations()
    decoder.advance(talk.ids, talk.lengths)
    seen: list[int] = []
    decoder._trunk.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    for row in range(NUM_ROWS):
        talk.say(row, [5, 6, 7, 8] if row == 2 else [5])
    decoder.advance(talk.ids, talk.lengths)
    # All rows step together, the one with a chunk apart.
    assert sorted(seen) == [4, NUM_ROWS]


def test_the_references_steps_and_sequences_agree(tiny_model_folder: Path) -> None:
    model = load_causal_lm(tiny_model_folder, device="cpu")
    reference = CausalLMReference(tiny_model_folder, NUM_ROWS, WIDTH, None, "cpu")
    talk, by_step = Conversations(1), []
    for _ in range(NUM_STEPS):
        actions = talk.rng.integers(0, VOCAB, NUM_ROWS)
        by_step.append(reference.step_log_probs(talk.ids, talk.lengths, actions))
        expected = torch.log_softmax(full_logits(model, talk).double(), -1).numpy()
        np.testing.assert_allclose(by_step[-1], expected[range(NUM_ROWS), actions], atol=1e-5)
        talk.act(actions)
    whole = reference.sequence_log_probs([talk.sequence(row) for row in range(NUM_ROWS)])
    np.testing.assert_allclose(np.stack(whole, axis=1), np.stack(by_step), atol=1e-5)


def test_token_rewards_of_steps_are_those_of_whole_sequences(tiny_reward_folder: Path) -> None:
    scorer = SequenceScorer(str(tiny_reward_folder), "cpu", "float32")
    steps = scorer.new_steps(NUM_ROWS, WIDTH)
    talk, by_step = Conversations(2), []
    for _ in range(NUM_STEPS):
        before = talk.lengths.copy()
        talk.act(talk.rng.integers(0, VOCAB, NUM_ROWS))
        by_step.append(steps.rewards(talk.ids, before + 1))  # read before the other side answers
    for row in range(NUM_ROWS):
        ids = talk.ids[row, : talk.lengths[row]].tolist()
        (every,) = scorer.token_rewards([ids], [int(talk.prompts[row])])
        own = every[np.array(talk.actions[row]) - talk.prompts[row]]
        np.testing.assert_allclose(own, [rewards[row] for rewards in by_step], atol=1e-4)
