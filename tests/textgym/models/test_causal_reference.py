"""The causal reference and teacher forcing against the library's own full forward."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textgym.models.causal_reference import CausalLMReference
from textgym.models.loading import load_causal_lm
from textgym.models.teacher_forcing import SequenceBatch, sequence_log_probs
from textgym.models.trunk import trunk_and_head
from textgym.reference import Reference, ResponseSequence

NUM_ROWS, WIDTH, VOCAB = 5, 24, 320


def random_sequences(rng: np.random.Generator, tokens: np.ndarray) -> list[ResponseSequence]:
    """Rows of ragged prompts; in one of them some tokens of the response are no actions."""
    sequences = []
    for row in range(NUM_ROWS):
        prompt_length, length = int(rng.integers(1, 8)), int(rng.integers(10, WIDTH))
        ids = rng.choice(tokens, length)
        positions = np.arange(prompt_length, length)
        if row == 2:
            positions = positions[positions % 3 != 0]
        sequences.append(
            ResponseSequence(ids=ids, action_positions=positions, prompt_length=prompt_length)
        )
    return sequences


def by_hand(model, sequence, tokens, temperature, allowed=None) -> np.ndarray:
    with torch.no_grad():
        logits = model(torch.from_numpy(sequence.ids[None])).logits[0].double().numpy()
    values = []
    for k, position in enumerate(sequence.action_positions):
        z = logits[position - 1][tokens] / temperature
        if allowed is not None:
            z = np.where(allowed[k], z, -np.inf)
        action = int(np.flatnonzero(tokens == sequence.ids[position])[0])
        values.append(z[action] - z.max() - np.log(np.exp(z - z.max()).sum()))
    return np.array(values)


def masks_of(sequence: ResponseSequence, num_actions: int, tokens: np.ndarray) -> np.ndarray:
    """A mask that is a pure function of the sequence and never forbids what was done."""
    rng = np.random.default_rng(int(sequence.ids.sum()))
    allowed = rng.random((len(sequence.action_positions), num_actions)) < 0.5
    for k, position in enumerate(sequence.action_positions):
        allowed[k, np.flatnonzero(tokens == sequence.ids[position])[0]] = True
    return allowed


@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_steps_and_sequences_equal_the_full_forward(tiny_model_folder, subset, temperature):
    rng = np.random.default_rng(0)
    tokens = np.array([7, 300, 2, 11, 40]) if subset else np.arange(VOCAB)
    reference = CausalLMReference(
        tiny_model_folder, NUM_ROWS, WIDTH, tokens if subset else None, "cpu"
    )
    assert isinstance(reference, Reference)
    model = load_causal_lm(tiny_model_folder, device="cpu")
    sequences = random_sequences(rng, tokens)

    def allowed_of(sequence: ResponseSequence) -> np.ndarray:
        return masks_of(sequence, len(tokens), tokens)

    together = reference.sequence_log_probs(sequences, temperature, allowed_of)
    for sequence, values in zip(sequences, together, strict=True):
        expected = by_hand(model, sequence, tokens, temperature, allowed_of(sequence))
        np.testing.assert_allclose(values, expected, atol=1e-5)

    for k in range(3):
        ids = np.full((NUM_ROWS, WIDTH), VOCAB)
        lengths = np.array([s.action_positions[k] for s in sequences])
        for row, sequence in enumerate(sequences):
            ids[row, : lengths[row]] = sequence.ids[: lengths[row]]
        actions = [
            int(np.flatnonzero(tokens == s.ids[p])[0])
            for s, p in zip(sequences, lengths, strict=True)
        ]
        allowed = np.stack([allowed_of(s)[k] for s in sequences])
        steps = reference.step_log_probs(ids, lengths, np.array(actions), allowed, temperature)
        np.testing.assert_allclose(steps, [values[k] for values in together], atol=1e-5)


def test_a_padded_vocabulary_does_not_take_probability(make_model_folder):
    folder = make_model_folder(vocab_size=384)
    reference = CausalLMReference(folder, 1, WIDTH, device="cpu", num_actions=VOCAB)
    ids = np.array([[5, 6, 7, 0]])
    steps = [
        reference.step_log_probs(ids, np.array([3]), np.array([action]))[0]
        for action in range(VOCAB)
    ]
    assert np.exp(steps).sum() == pytest.approx(1.0, abs=1e-5)
    sequence = ResponseSequence(
        ids=np.array([5, 6, 7, 9]), action_positions=np.array([3]), prompt_length=3
    )
    assert reference.sequence_log_probs([sequence])[0][0] == pytest.approx(steps[9], abs=1e-5)


def test_batching_changes_nothing(tiny_model_folder):
    trunk, head = trunk_and_head(load_causal_lm(tiny_model_folder, device="cpu"))
    sequences = random_sequences(np.random.default_rng(1), np.arange(VOCAB))
    whole = sequence_log_probs(trunk, head, sequences)
    alone = [sequence_log_probs(trunk, head, [s], token_budget=1)[0] for s in sequences]
    small = sequence_log_probs(trunk, head, sequences[::-1], token_budget=30)[::-1]
    for a, b, c in zip(whole, alone, small, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, c, atol=1e-5)


def test_sequences_without_actions_and_no_sequences_are_fine(tiny_model_folder):
    reference = CausalLMReference(tiny_model_folder, 1, WIDTH, device="cpu")
    nothing = ResponseSequence(
        ids=np.array([4, 5]), action_positions=np.zeros(0, int), prompt_length=2
    )
    assert reference.sequence_log_probs([]) == []
    assert [len(v) for v in reference.sequence_log_probs([nothing])] == [0]


def test_a_token_that_is_no_action_is_named(tiny_model_folder):
    reference = CausalLMReference(tiny_model_folder, 1, WIDTH, np.array([4, 5]), "cpu")
    sequence = ResponseSequence(
        ids=np.array([4, 9]), action_positions=np.array([1]), prompt_length=1
    )
    with pytest.raises(ValueError, match="token 9 is not among the action tokens"):
        reference.sequence_log_probs([sequence])


def test_batches_say_which_tokens_are_actions():
    batch = SequenceBatch.of(
        [
            ResponseSequence(
                ids=np.array([4, 5, 6]), action_positions=np.array([1, 2]), prompt_length=1
            ),
            ResponseSequence(
                ids=np.array([7, 8, 9, 10]), action_positions=np.array([3]), prompt_length=2
            ),
        ]
    )
    assert batch.ids.tolist() == [[4, 5, 6, 0], [7, 8, 9, 10]]
    assert batch.is_action.tolist() == [[False, True, True, False], [False, False, False, True]]
    assert batch.lengths.tolist() == [3, 4] and batch.prompt_lengths.tolist() == [1, 2]


def test_a_model_with_too_few_rows_is_refused(tiny_model_folder):
    with pytest.raises(ValueError, match="vocabulary mismatch.*320 rows, expected at least 400"):
        CausalLMReference(tiny_model_folder, 1, WIDTH, device="cpu", num_actions=400)
    with pytest.raises(ValueError, match="vocabulary mismatch.*at least 331"):
        CausalLMReference(tiny_model_folder, 1, WIDTH, np.array([5, 330]), "cpu")
