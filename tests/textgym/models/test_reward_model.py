"""Scores of sequences: the right token is read, and neighbours and padding change nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from textgym.models.loading import load_sequence_classifier
from textgym.models.reward_model import (
    ScoreScale,
    SequenceScorer,
    read_score_scale,
    write_score_scale,
)

PAD, EOS = 3, 2


def by_hand(folder: Path, ids: list[int]) -> float:
    """The library's own score of one sequence alone, its padding search kept out of the way."""
    model = load_sequence_classifier(folder, device="cpu")
    with torch.no_grad():
        states = model.base_model(input_ids=torch.tensor([ids])).last_hidden_state
        return float(model.score(states[0, -1]))


def random_sequences() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(4, 320, n).tolist() for n in (3, 17, 1, 40, 16, 9)]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "qwen2", "opt"])
def test_scores_are_read_at_the_last_token(make_reward_folder, architecture: str):
    folder = make_reward_folder(architecture=architecture)
    sequences = random_sequences()
    scores = SequenceScorer(folder, "cpu").score_ids(sequences)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, [by_hand(folder, ids) for ids in sequences], atol=1e-5)


def test_a_score_does_not_depend_on_the_batch(tiny_reward_folder: Path):
    scorer = SequenceScorer(tiny_reward_folder, "cpu")
    sequences = random_sequences()
    whole = scorer.score_ids(sequences)
    alone = np.concatenate([scorer.score_ids([ids]) for ids in sequences])
    tiny_budget = scorer.score_ids(sequences[::-1], token_budget=1)[::-1]
    np.testing.assert_allclose(whole, alone, atol=1e-5)
    np.testing.assert_allclose(whole, tiny_budget, atol=1e-5)


def test_padding_and_end_tokens_inside_a_sequence_are_read_like_others(tiny_reward_folder: Path):
    scorer = SequenceScorer(tiny_reward_folder, "cpu")
    for ids in ([5, 6, PAD], [5, EOS, PAD, PAD], [PAD]):
        expected = by_hand(tiny_reward_folder, ids)
        assert scorer.score_ids([ids, [7] * 9])[0] == pytest.approx(expected, abs=1e-5)


def test_gain_and_bias_come_from_the_file(tiny_reward_folder: Path, tmp_path: Path):
    folder = tmp_path / "reward"
    shutil.copytree(tiny_reward_folder, folder)
    raw = SequenceScorer(folder, "cpu").score_ids([[5, 6, 7]])
    write_score_scale(folder, ScoreScale(gain=2.5, bias=-1.0))
    scaled = SequenceScorer(folder, "cpu").score_ids([[5, 6, 7]])
    np.testing.assert_allclose(scaled, 2.5 * raw - 1.0, atol=1e-6)
    (folder / "textgym.json").write_text(json.dumps({"kind": "reward", "gain": 3}))
    assert read_score_scale(folder) == ScoreScale(gain=3.0, bias=0.0)
    write_score_scale(folder, ScoreScale(bias=1.0))
    assert json.loads((folder / "textgym.json").read_text())["kind"] == "reward"


@pytest.mark.parametrize(
    "content", ["[1]", '{"gain": "much"}', '{"gain": 0}', "{", '{"bias": NaN}']
)
def test_bad_scales_name_the_file(tmp_path: Path, content: str):
    (tmp_path / "textgym.json").write_text(content)
    with pytest.raises(ValueError, match=r"textgym\.json"):
        read_score_scale(tmp_path)


def test_bad_sequences_are_named(tiny_reward_folder: Path):
    scorer = SequenceScorer(tiny_reward_folder, "cpu")
    assert scorer.score_ids([]).shape == (0,)
    with pytest.raises(ValueError, match="sequence 1 has no tokens"):
        scorer.score_ids([[5], []])
    with pytest.raises(ValueError, match="token 320.*below 320"):
        scorer.score_ids([[320]])
    with pytest.raises(ValueError, match="513 tokens.*at most 512"):
        scorer.score_ids([[5] * 513])
