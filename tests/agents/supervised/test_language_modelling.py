"""The next-token loss: equal to the full forward, over what is learned only."""

import numpy as np
import pytest
import torch

from textgym.agents.supervised.language_modelling import (
    EncodedPair,
    held_out_losses,
    token_losses,
)


def reference_losses(model, pair, first):
    """Loss of each token from place `first` on, by the library's own full forward."""
    with torch.no_grad():
        logits = model(torch.tensor([pair.ids])).logits[0]
    log_probs = torch.log_softmax(logits, -1)
    return [-log_probs[t - 1, pair.ids[t]].item() for t in range(first, len(pair.ids))]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "opt"])
def test_token_losses_equal_the_full_forward(make_tiny_model, architecture):
    model = make_tiny_model(architecture)
    pairs = [
        EncodedPair(ids=(5, 6, 7, 8, 9), prompt_length=3),
        EncodedPair(ids=(9, 2), prompt_length=1),
        EncodedPair(ids=(4, 4, 4, 7), prompt_length=0),
    ]
    with torch.no_grad():
        losses, rows = token_losses(model, pairs)
        everything, _ = token_losses(model, pairs, "all")
    expected = [reference_losses(model, p, max(1, p.prompt_length)) for p in pairs]
    assert losses.tolist() == pytest.approx(sum(expected, []), abs=1e-5)
    assert rows.tolist() == [0, 0, 1, 2, 2, 2]
    expected = [reference_losses(model, p, 1) for p in pairs]
    assert everything.tolist() == pytest.approx(sum(expected, []), abs=1e-5)
    sums, counts = held_out_losses(model, pairs, batch_tokens=6)
    assert counts.tolist() == [2, 1, 3]
    expected = [sum(reference_losses(model, p, max(1, p.prompt_length))) for p in pairs]
    assert sums == pytest.approx(np.array(expected), abs=1e-4)


def test_turns_that_others_say_are_context_and_never_learned(make_tiny_model):
    model = make_tiny_model()
    talk = EncodedPair(
        ids=(5, 6, 7, 8, 9, 4, 3), prompt_length=2, is_own=(True, False, False, True, True)
    )
    plain = EncodedPair(ids=(9, 2, 6), prompt_length=1)
    with torch.no_grad():
        losses, rows = token_losses(model, [talk, plain])
        everything, _ = token_losses(model, [talk], "all")
    every = dict(zip(range(1, 7), reference_losses(model, talk, 1), strict=True))
    expected = [every[2], every[5], every[6], *reference_losses(model, plain, 1)]
    assert losses.tolist() == pytest.approx(expected, abs=1e-5)
    assert rows.tolist() == [0, 0, 0, 1, 1]
    assert everything.tolist() == pytest.approx([every[t] for t in (1, 2, 5, 6)], abs=1e-5)
    sums, counts = held_out_losses(model, [talk, plain], batch_tokens=100)
    assert counts.tolist() == [3, 2]
    assert sums[0] == pytest.approx(every[2] + every[5] + every[6], abs=1e-4)
