"""Reward models: a toy preference, normalisation, what is saved, errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from textgym.agents.supervised.bradley_terry import BradleyTerry
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.agents.supervised.reward_training import (
    RewardTrainingConfig,
    train_reward_model,
)
from textgym.agents.supervised.scoring_head import classifier_from, raw_scores, score_sequences
from textgym.models.reward_model import SequenceScorer, read_score_scale

WORDS = ["a", "i", "you", "he", "my", "friend", "dog", "said", "home", "later"]


def nice_pairs(count=60):
    """The response that says "nice" is preferred, whatever the prompt."""
    rng = np.random.default_rng(0)
    return [
        PreferencePair(
            prompt=f"{rng.choice(WORDS)} {rng.choice(WORDS)} {i}:",
            chosen=f" nice {rng.choice(WORDS)}",
            rejected=f" rude {rng.choice(WORDS)}",
        )
        for i in range(count)
    ]


def settings(model, **changes):
    return RewardTrainingConfig(
        **{"model": str(model), "batch_tokens": 256, "learning_rate": 3e-3, "device": "cpu"}
        | changes
    )


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
def test_scores_are_read_at_the_last_token(make_reward_folder, architecture):
    folder = make_reward_folder(architecture=architecture)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    sequences = [(5, 6, 7), (9, 3), (3, 3, 3, 3, 4)]  # 3 is the padding token
    with torch.no_grad():
        found = raw_scores(model, sequences)
        alone = [raw_scores(model, [sequence]).item() for sequence in sequences]
    assert found.tolist() == pytest.approx(alone, abs=1e-5)
    assert score_sequences(model, sequences, batch_tokens=4).tolist() == pytest.approx(
        alone, abs=1e-5
    )


def test_head_is_drawn_as_documented_and_dropout_is_off(make_model_folder):
    folder = make_model_folder("gpt2", resid_pdrop=0.1)
    model = classifier_from(str(folder), seed=0)
    assert model.score.weight.shape == (1, 32)
    assert model.score.bias is None
    assert 0.3 < model.score.weight.std().item() * np.sqrt(33) < 1.7
    drops = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert drops and set(drops) == {0.0}
    again, other = classifier_from(str(folder), seed=0), classifier_from(str(folder), seed=1)
    assert torch.equal(model.score.weight, again.score.weight)
    assert not torch.equal(model.score.weight, other.score.weight)


def test_responses_of_one_prompt_are_encoded_once(make_reward_folder):
    model = AutoModelForSequenceClassification.from_pretrained(make_reward_folder()).eval()
    pairs = [
        PreferencePair(prompt="p", chosen=a, rejected=b)
        for a, b in (("x", "y"), ("x", "z"), ("z", "y"))
    ]
    ids = {"x": (4, 5), "y": (4, 6, 7), "z": (4, 8)}
    objective = BradleyTerry(model, pairs, lambda p: (ids[p.chosen], ids[p.rejected]))
    assert objective.is_packed
    assert objective.costs.tolist() == [5]  # one common token, then 1, 2 and 1
    scores = dict(zip("xyz", score_sequences(model, [ids[w] for w in "xyz"]), strict=True))
    expected = [scores[p.chosen] - scores[p.rejected] for p in pairs]
    assert objective.differences(100).tolist() == pytest.approx(expected, abs=1e-5)
    loss = objective.loss(np.array([0])).item()
    assert loss == pytest.approx(np.mean(np.logaddexp(0, -np.array(expected))), abs=1e-5)
    centred = BradleyTerry(model, pairs, lambda p: (ids[p.chosen], ids[p.rejected]), centring=0.5)
    sums = np.array([scores[p.chosen] + scores[p.rejected] for p in pairs])
    assert centred.loss(np.array([0])).item() == pytest.approx(
        loss + 0.5 * np.mean(sums**2), rel=1e-4
    )


def test_it_learns_a_toy_preference_and_is_normalised(tmp_path, tiny_model_folder):
    result = train_reward_model(
        settings(tiny_model_folder, epochs=3, n_normalisation=64), nice_pairs(), output=tmp_path
    )
    assert result.held_out.accuracy.mean == 1.0
    assert result.held_out.log_loss.mean < 0.3
    assert (result.n_train, result.n_held_out) == (54, 6)
    scale = read_score_scale(result.folder)
    assert (scale.gain, scale.bias) == (result.gain, result.bias)
    model = AutoModelForSequenceClassification.from_pretrained(result.folder)
    assert model.config.num_labels == 1
    raw = score_sequences(model, [(5, 6, 7), (8, 9)])
    scored = SequenceScorer(result.folder, device="cpu").score_ids([[5, 6, 7], [8, 9]])
    assert np.asarray(scored) == pytest.approx(raw * result.gain + result.bias, abs=1e-4)


def test_normalisation_gives_mean_0_and_deviation_1(tmp_path, tiny_model_folder):
    rng = np.random.default_rng(0)
    sequences = [tuple(rng.integers(4, 300, size=n)) for n in rng.integers(2, 9, size=100)]
    config = settings(tiny_model_folder, max_steps=1)
    result = train_reward_model(config, nice_pairs(), output=tmp_path, normalise_on=sequences)
    scorer = SequenceScorer(result.folder, device="cpu")
    scores = np.asarray(scorer.score_ids([list(map(int, s)) for s in sequences]))
    assert scores.mean() == pytest.approx(0, abs=1e-3)
    assert scores.std() == pytest.approx(1, abs=1e-3)


def test_reference_samples_are_drawn_where_asked(tmp_path, tiny_model_folder):
    config = settings(
        tiny_model_folder,
        reference_model=str(tiny_model_folder),
        max_steps=1,
        n_normalisation=32,
        max_response_tokens=4,
    )
    result = train_reward_model(config, nice_pairs(), output=tmp_path)
    assert result.gain > 0


def test_resumed_equals_uninterrupted(tmp_path, tiny_model_folder):
    pairs, constant = nice_pairs(16), {"warmup_fraction": 0.0, "min_learning_rate_fraction": 1.0}
    full = settings(tiny_model_folder, batch_tokens=64, **constant)
    part = settings(tiny_model_folder, batch_tokens=64, max_steps=2, **constant)
    one = train_reward_model(full, pairs, output=tmp_path / "one")
    assert train_reward_model(part, pairs, output=tmp_path / "two").progress.step == 2
    two = train_reward_model(full, pairs, output=tmp_path / "two")
    assert one.progress.step == two.progress.step > 4
    ours, theirs = (
        AutoModelForSequenceClassification.from_pretrained(r.folder).state_dict()
        for r in (one, two)
    )
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)


def test_errors_name_the_value(tmp_path, tiny_model_folder):
    with pytest.raises(ValueError, match="at least one comparison on each side, got 0"):
        train_reward_model(settings(tiny_model_folder), [], output=tmp_path)
    with pytest.raises(ValueError, match="at least one comparison on each side, got 0"):
        train_reward_model(settings(tiny_model_folder), nice_pairs(), [], output=tmp_path)
    ties = [replace(pair, is_tie=True) for pair in nice_pairs(8)]
    with pytest.raises(ValueError, match="single class: 8 ties"):
        train_reward_model(settings(tiny_model_folder), ties, output=tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        classifier_from(str(tmp_path / "nothing here"), seed=0)
    with pytest.raises(ValueError, match="n_normalisation must be at least 2, got 1"):
        settings(tiny_model_folder, n_normalisation=1)
    with pytest.raises(ValueError, match="centring must be at least 0, got -1"):
        settings(tiny_model_folder, centring=-1)
