"""Scores of sequences: the right token is read, and neighbours and padding change nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from textgym.models.loading import load_sequence_classifier
from textgym.models.offload import on_device
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


def test_half_precision_keeps_the_score_a_float32_product(tiny_reward_folder: Path):
    sequences = random_sequences()
    exact = SequenceScorer(tiny_reward_folder, "cpu").score_ids(sequences)
    scorer = SequenceScorer(tiny_reward_folder, "cpu", "bfloat16")
    scores = scorer.score_ids(sequences)
    assert scores.dtype == np.float32 and {p.dtype for p in scorer.model.parameters()} == {
        torch.bfloat16
    }
    assert 0 < np.abs(scores - exact).max() < 0.1 * np.abs(exact).max()
    with torch.no_grad():
        ids = torch.tensor([sequences[1]])
        states = scorer.model.base_model(input_ids=ids).last_hidden_state[0, -1]
        weight = scorer.model.score.weight[0]
        by_hand = float(states.double() @ weight.double())
    assert scores[1] == pytest.approx(by_hand, abs=1e-5)


def test_an_offloaded_model_visits_the_device_and_goes_home(
    tiny_reward_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """A model that is at home scores alike, and leaves nothing behind even after an error."""
    sequences = random_sequences()
    plain = SequenceScorer(tiny_reward_folder, "cpu")
    offloaded = SequenceScorer(tiny_reward_folder, "cpu", offload=True)
    assert offloaded.model is plain.model  # shared with whoever else keeps it on the CPU
    homes = [p.data_ptr() for p in offloaded.model.parameters()]
    away: list[bool] = []

    def copied(tensor: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        return tensor.clone()

    trunk = offloaded.model.base_model
    hook = trunk.register_forward_pre_hook(
        lambda *_: away.append(next(trunk.parameters()).data_ptr() != homes[0])
    )
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "to", copied)  # what a move to a card does
        scores = offloaded.score_ids(sequences)
        with pytest.raises(ZeroDivisionError), on_device(offloaded.model, torch.device("cpu")):
            raise ZeroDivisionError
    hook.remove()
    assert away and all(away)
    assert [p.data_ptr() for p in offloaded.model.parameters()] == homes
    np.testing.assert_array_equal(scores, plain.score_ids(sequences))


def test_no_forward_exceeds_the_token_budget(tiny_reward_folder: Path):
    scorer, seen = SequenceScorer(tiny_reward_folder, "cpu"), []
    hook = scorer.model.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    sequences = [[5] * 12 for _ in range(20)]
    scorer.score_ids(sequences, token_budget=40)
    hook.remove()
    assert seen == [(3, 12)] * 6 + [(2, 12)]
