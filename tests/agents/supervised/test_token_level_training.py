"""Reward models of single tokens: readings by hand, packed and apart, and what training learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from textgym.agents.supervised.grouped_scores import GroupedScores
from textgym.agents.supervised.packed_sequences import pack, token_cells
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.agents.supervised.reward_training import RewardTrainingConfig, train_reward_model
from textgym.agents.supervised.scoring_head import score_sequences, token_scores
from textgym.models.reward_model import SequenceScorer, read_score_scale
from textgym.rewards.learned import RewardModel
from textgym.tokenizer import load_tokenizer
from textgym.types import Episode, Prompt

GROUPS = [[(5, 6, 7), (5, 6, 8, 9)], [(4, 3), (4, 3, 3)]]
STARTS = [1, 1]


def by_hand(model, ids, start, aggregate):
    with torch.no_grad():
        states = model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        values = model.score(states)[start:, 0]
    return float(values.mean() if aggregate == "mean" else values.sum())


def test_cells_of_packed_tokens_by_hand():
    # The first group shares (5, 6), the second, one token short of all of (4, 3), shares (4,).
    assert token_cells(GROUPS, STARTS).tolist() == [
        [0, 0, 1],
        [0, 0, 2],
        [1, 0, 1],
        [1, 0, 3],
        [1, 0, 4],
        [2, 1, 1],
        [3, 1, 2],
        [3, 1, 3],
    ]
    ids = pack(GROUPS).ids.numpy()
    found = [ids[row, column] for _, row, column in token_cells(GROUPS, STARTS)]
    assert found == [6, 7, 6, 8, 9, 3, 3, 3]


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_packed_or_apart_the_scores_are_the_same(make_reward_folder, architecture, aggregate):
    folder = make_reward_folder(architecture=architecture)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    sequences = [ids for group in GROUPS for ids in group]
    expected = [by_hand(model, ids, 1, aggregate) for ids in sequences]
    grouped = GroupedScores(model, GROUPS, starts=STARTS, token_aggregate=aggregate)
    assert grouped.is_packed
    with torch.no_grad():
        packed = grouped(np.arange(2)).tolist()
        grouped.is_packed = False
        apart = grouped(np.arange(2)).tolist()
        alone = token_scores(model, sequences, [1] * 4, aggregate).tolist()
    assert packed == pytest.approx(expected, abs=1e-5)
    assert apart == pytest.approx(expected, abs=1e-5)
    assert alone == pytest.approx(expected, abs=1e-5)
    found = score_sequences(model, sequences, 4, starts=[1] * 4, token_aggregate=aggregate)
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def nice_pairs(count: int = 80) -> list[PreferencePair]:
    """More "nice" words for their number are preferred: the share counts, not the length."""
    rng = np.random.default_rng(0)
    pairs = []
    for i in range(count):
        good, bad = (" nice", " rude") if i % 2 else (" rude nice nice", " rude nice")
        pairs.append(
            PreferencePair(
                prompt=f"my {rng.choice(list('abcdefgh'))} {i}:", chosen=good, rejected=bad
            )
        )
    return pairs


def settings(model: Path, **changes) -> RewardTrainingConfig:
    fixed = {
        "model": str(model),
        "batch_tokens": 256,
        "learning_rate": 3e-3,
        "epochs": 3,
        "n_normalisation": 64,
        "device": "cpu",
    }
    return RewardTrainingConfig(**fixed | changes)


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_it_learns_and_the_folder_says_how_it_is_read(tmp_path, tiny_model_folder, aggregate):
    config = settings(tiny_model_folder, token_aggregate=aggregate)
    result = train_reward_model(config, nice_pairs(), output=tmp_path)
    assert result.held_out.accuracy.mean == 1.0
    scale = read_score_scale(result.folder)
    assert (scale.gain, scale.bias) == (result.gain, result.bias)
    assert scale.token_aggregate == aggregate
    assert (scale.bias == 0) == (aggregate == "sum")
    tokenizer = load_tokenizer(result.folder)
    prompt, response = tokenizer.encode("my a:"), tokenizer.encode(" nice nice")
    episode = Episode(
        prompt=Prompt(prompt_id=0, text="my a:"),
        prompt_ids=tuple(prompt),
        response_ids=tuple(response),
        response=" nice nice",
        finish_reason="length",
    )
    reward = RewardModel(result.folder, tokenizer, "cpu")
    tokens = SequenceScorer(result.folder, "cpu").token_rewards([prompt + response], [len(prompt)])[
        0
    ]
    assert len(tokens) == len(response)
    total = tokens.mean() if aggregate == "mean" else tokens.sum()
    assert reward([episode])[0] == pytest.approx(total, abs=1e-5)
    # What it is read as can be said; a response without a token is read where it would begin.
    other = RewardModel(result.folder, tokenizer, "cpu", token_aggregate="sum")
    assert other([episode])[0] == pytest.approx(tokens.sum(), abs=1e-4)
    empty = replace(episode, response_ids=(), response="")
    assert reward([empty])[0] == pytest.approx(reward.scorer.score_ids([prompt])[0], abs=1e-5)


def test_a_mean_is_normalised_to_mean_0_and_deviation_1(tmp_path, tiny_model_folder):
    config = settings(
        tiny_model_folder,
        token_aggregate="mean",
        max_steps=2,
        reference_model=str(tiny_model_folder),
        max_response_tokens=5,
        n_normalisation=200,
    )
    pairs = nice_pairs()
    result = train_reward_model(config, pairs, output=tmp_path)
    tokenizer = load_tokenizer(result.folder)
    prompts = [tokenizer.encode(pair.prompt) for pair in pairs]
    rng = np.random.default_rng(1)
    sequences = [p + rng.integers(4, 320, 5).tolist() for p in prompts]
    scorer = SequenceScorer(result.folder, "cpu")
    means = [t.mean() for t in scorer.token_rewards(sequences, [len(p) for p in prompts])]
    # Uniform tokens are about what the random reference samples.
    assert abs(np.mean(means)) < 0.7 and 0.5 < np.std(means) < 2


def test_a_sum_is_normalised_on_sequences_whose_responses_begin_where_it_is_told(
    tmp_path, tiny_model_folder
):
    config = settings(tiny_model_folder, token_aggregate="sum", max_steps=2)
    rng = np.random.default_rng(1)
    sequences = [tuple(rng.integers(4, 320, 9).tolist()) for _ in range(40)]
    starts = rng.integers(1, 6, 40).tolist()
    result = train_reward_model(
        config, nice_pairs(), output=tmp_path, normalise_on=sequences, response_starts=starts
    )
    tokens = SequenceScorer(result.folder, "cpu").token_rewards(sequences, starts)
    assert [len(found) for found in tokens] == [9 - start for start in starts]
    assert np.std([found.sum() for found in tokens]) == pytest.approx(1, abs=1e-3)


def test_bad_settings_are_named(tmp_path, tiny_model_folder):
    with pytest.raises(ValueError, match="token_aggregate must be one of .*got 'max'"):
        settings(tiny_model_folder, token_aggregate="max")
    config = settings(tiny_model_folder, token_aggregate="sum")
    with pytest.raises(ValueError, match="needs to know where responses begin"):
        train_reward_model(config, nice_pairs(), output=tmp_path, normalise_on=[(1, 2)])
