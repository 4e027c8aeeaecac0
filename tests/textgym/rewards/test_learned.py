"""The learned reward: ids as they were sampled, or text encoded anew for another tokenizer."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textgym.rewards.base import RewardFn, score_episodes
from textgym.rewards.learned import RewardModel
from textgym.tokenizer import load_tokenizer, train_sentencepiece
from textgym.types import Episode, Prompt


def episode(tokenizer, response_ids: list[int], finish_reason: str = "eos") -> Episode:
    text = "my friend said.\n\nTL;DR:"
    return Episode(
        prompt=Prompt(prompt_id=0, text=text),
        prompt_ids=tuple(tokenizer.encode(text)),
        response_ids=tuple(response_ids),
        response=tokenizer.decode(response_ids),
        finish_reason=finish_reason,
    )


@pytest.fixture
def other_tokenizer(tmp_path: Path):
    texts = [f"the {word} said hello friend TL;DR: {word}" for word in ("abc", "def", "ghi")] * 9
    train_sentencepiece(texts, tmp_path / "other", 300)
    return load_tokenizer(tmp_path / "other")


def test_sampled_ids_are_scored_as_they_are(tiny_reward_folder: Path, tiny_tokenizer_folder: Path):
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    reward = RewardModel(tiny_reward_folder, tokenizer, "cpu")
    assert isinstance(reward, RewardFn) and reward.shares_tokenizer
    spelled = [tokenizer.hf.convert_tokens_to_ids(piece) for piece in ("t", "h", "e")]
    assert tokenizer.encode("the") != spelled
    item = episode(tokenizer, [*spelled, 2])
    assert reward.ids_of(item) == [*item.prompt_ids, *spelled, 2]
    expected = reward.scorer.score_ids([[*item.prompt_ids, *spelled, 2]])
    np.testing.assert_array_equal(reward([item]), expected)
    assert list(score_episodes(reward, [item]).terms) == ["model"]


def test_another_tokenizer_reads_the_text(tiny_reward_folder: Path, other_tokenizer):
    reward = RewardModel(tiny_reward_folder, other_tokenizer, "cpu")
    assert not reward.shares_tokenizer
    own = reward.tokenizer
    response = other_tokenizer.encode(" the friend")
    ended = episode(other_tokenizer, [*response, other_tokenizer.eos_ids[0]])
    text_ids = own.encode(ended.prompt.text) + own.encode(" the friend")
    assert reward.ids_of(ended) == [*text_ids, own.eos_ids[0]]
    assert reward.ids_of(episode(other_tokenizer, response, "length")) == text_ids
    cut_prompt = replace(ended, prompt_ids=tuple(other_tokenizer.encode("TL;DR:")))
    assert reward.ids_of(cut_prompt)[:-1] == own.encode("TL;DR:") + own.encode(" the friend")


def test_the_end_token_is_the_one_that_responses_were_trained_with(
    tiny_reward_folder: Path, tiny_model_folder: Path, other_tokenizer
):
    reward = RewardModel(tiny_reward_folder, other_tokenizer, "cpu")
    reward.tokenizer = copy.copy(load_tokenizer(tiny_model_folder))
    reward.tokenizer.eos_ids = (1, 2)  # as a chat model's generation config has several
    ended = episode(other_tokenizer, [*other_tokenizer.encode(" the"), 2])
    assert reward.ids_of(ended)[-1] == reward.tokenizer.hf.eos_token_id == 2


def test_an_episode_without_end_token_is_scored_as_it_is(tiny_reward_folder, tiny_tokenizer_folder):
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    reward = RewardModel(tiny_reward_folder, tokenizer, "cpu")
    cut = episode(tokenizer, tokenizer.encode(" the dog"), "length")
    assert reward.ids_of(cut) == [*cut.prompt_ids, *cut.response_ids]


def test_two_labels_and_short_vocabularies_are_refused(make_reward_folder, tmp_path: Path):
    folder = make_reward_folder(num_labels=2)
    tokenizer = load_tokenizer(folder)
    with pytest.raises(ValueError, match="has 2 labels, expected 1"):
        RewardModel(folder, tokenizer, "cpu")
    words = [chr(97 + i) + chr(97 + j) for i in range(26) for j in range(26)]
    train_sentencepiece([" ".join(words)] * 3, tmp_path, 400)
    with pytest.raises(ValueError, match="320 rows.*400"):
        RewardModel(
            make_reward_folder(), tokenizer, "cpu", reward_tokenizer=load_tokenizer(tmp_path)
        )
