"""Packed rows against separate sequences."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from textgym.agents.supervised.packed_sequences import (
    common_beginning,
    pack,
    packed_length,
    packed_scores,
    packing_is_exact,
)
from textgym.agents.supervised.scoring_head import raw_scores

GROUPS = [
    [(5, 6, 7, 8), (5, 6, 9), (5, 6, 7, 10, 11)],
    [(4, 4), (4, 5, 6)],
    [(12, 13, 14)],
    [(1, 2), (3, 4)],
]


def test_layout_by_hand():
    assert common_beginning(GROUPS[0]) == 2
    assert common_beginning([(5, 6), (5, 6)]) == 1  # each keeps a token of its own
    assert [packed_length(group) for group in GROUPS] == [8, 4, 3, 4]
    packed = pack(GROUPS[:2])
    assert packed.ids.tolist() == [[5, 6, 7, 8, 9, 7, 10, 11], [4, 4, 5, 6, 0, 0, 0, 0]]
    assert packed.positions.tolist() == [[0, 1, 2, 3, 2, 2, 3, 4], [0, 1, 1, 2, 0, 0, 0, 0]]
    assert packed.parts.tolist() == [[0, 0, 1, 1, 2, 3, 3, 3], [0, 1, 2, 2, -1, -1, -1, -1]]
    assert packed.ends.tolist() == [[0, 3], [0, 4], [0, 7], [1, 1], [1, 3]]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
def test_scores_and_gradients_equal_those_of_separate_rows(make_reward_folder, architecture):
    folder = make_reward_folder(architecture=architecture)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert packing_is_exact(model, GROUPS)
    sequences = [sequence for group in GROUPS for sequence in group]
    gradients = []
    weights = torch.arange(1.0, len(sequences) + 1)
    for scores in (packed_scores(model, pack(GROUPS)), raw_scores(model, sequences)):
        model.zero_grad()
        (scores * weights).sum().backward()
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters()})
    together, separate = gradients
    assert packed_scores(model, pack(GROUPS)).tolist() == pytest.approx(
        raw_scores(model, sequences).tolist(), abs=1e-4
    )
    for name, gradient in separate.items():
        assert torch.allclose(together[name], gradient, atol=1e-3, rtol=1e-3), name


def test_a_window_is_noticed(make_tiny_model, tmp_path, tiny_tokenizer_folder):
    make_tiny_model("mistral", sliding_window=4).save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=1).eval()
    ids = tuple(np.random.default_rng(0).integers(4, 300, size=30))
    assert not packing_is_exact(model, [[ids[:20], (*ids[:10], *ids[20:])]])
