"""Cached batched sampling against the model's full forward."""

import numpy as np
import pytest
import torch

from textgym.agents.supervised.response_sampling import sample_responses


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
def test_greedy_equals_the_full_forward(make_tiny_model, architecture):
    model = make_tiny_model(architecture)
    rng = np.random.default_rng(0)
    prompts = [tuple(rng.integers(4, 320, size=n)) for n in (3, 9, 5, 1, 7)]
    eos = 17
    found = sample_responses(
        model, prompts, eos_ids=[eos], max_new_tokens=12, temperature=0, batch_size=3
    )
    for prompt, response in zip(prompts, found, strict=True):
        ids = list(map(int, prompt))
        expected = []
        while len(expected) < 12 and (not expected or expected[-1] != eos):
            with torch.no_grad():
                expected.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            ids.append(expected[-1])
        assert response == tuple(expected)


def test_frequencies_follow_the_softmax(make_tiny_model):
    model = make_tiny_model("llama")
    prompt, temperature = (5, 6, 7), 0.7
    found = sample_responses(
        model, [prompt] * 4000, eos_ids=[2], max_new_tokens=1, temperature=temperature, seed=3
    )
    with torch.no_grad():
        logits = model(torch.tensor([prompt])).logits[0, -1]
    expected = torch.softmax(logits / temperature, -1).numpy()
    counts = np.bincount([r[0] for r in found], minlength=320) / 4000
    assert np.abs(counts - expected).max() < 4 * np.sqrt(0.25 / 4000)


def test_end_token_ends_and_is_part_of_the_response(make_tiny_model):
    model = make_tiny_model("llama")
    prompts = [(5, 6)] * 200
    eos = list(range(4, 100))
    found = sample_responses(model, prompts, eos_ids=eos, max_new_tokens=6, seed=1)
    assert len({len(r) for r in found}) > 2
    for response in found:
        assert not set(response[:-1]) & set(eos)
        assert len(response) == 6 or response[-1] in eos


def test_padded_vocabulary_is_never_drawn(make_tiny_model):
    model = make_tiny_model("llama")
    found = sample_responses(
        model, [(5, 6)] * 100, eos_ids=[2], max_new_tokens=5, vocab_size=8, seed=1
    )
    assert max(max(r) for r in found) < 8


def test_the_seed_decides(make_tiny_model):
    model = make_tiny_model("llama")
    one, same, other = (
        sample_responses(model, [(5, 6)] * 5, eos_ids=[2], max_new_tokens=8, seed=s)
        for s in (0, 0, 1)
    )
    assert one == same != other
