"""Comparisons between samples: who is compared, ties, gold margins, storage."""

import numpy as np
import pytest

from textgym.agents.bundles.comparisons import (
    Sampling,
    judged_comparisons,
    load_comparisons,
    sample_episodes,
    save_comparisons,
)
from textgym.agents.bundles.teacher import FallibleTeacher
from textgym.tokenizer import load_tokenizer
from textgym.types import Episode, Prompt

SURE = FallibleTeacher(temperature=1e-6, mistake_rate=0.0)


class LetterCount:
    """Utility: how many letters "a" the response has."""

    name = "gold"

    def __call__(self, episodes):
        return np.array([e.response.count("a") for e in episodes], dtype=np.float32)


def episode(prompt_id, response):
    prompt = Prompt(prompt_id=prompt_id, text=f"prompt {prompt_id}:")
    ids = tuple(ord(c) for c in response)
    return Episode(
        prompt=prompt, prompt_ids=(1,), response_ids=ids, response=response, finish_reason="eos"
    )


EPISODES = [
    episode(0, "a"),
    episode(1, "b"),
    episode(0, "aaa"),
    episode(0, "ab"),
    episode(1, "aa"),
]


def test_all_responses_of_a_prompt_are_compared_and_ties_counted():
    found = judged_comparisons(EPISODES, LetterCount(), SURE)
    got = {(p.prompt, p.chosen, p.rejected, p.gold_margin) for p in found.pairs}
    assert got == {
        ("prompt 0:", "aaa", "a", 2.0),
        ("prompt 0:", "aaa", "ab", 2.0),
        ("prompt 1:", "aa", "b", 2.0),
    }
    assert found.n_ties == 1
    assert found.gold_std == pytest.approx(np.std([1, 0, 3, 1, 2]))
    assert all(p.chosen_ids == tuple(ord(c) for c in p.chosen) for p in found.pairs)


def test_a_wrong_judgement_has_a_negative_gold_margin():
    coin = FallibleTeacher(temperature=1.0, mistake_rate=1.0)
    pairs = judged_comparisons(EPISODES * 20, LetterCount(), coin, seed=1).pairs
    wrong = [p for p in pairs if p.gold_margin < 0]
    assert 0.4 < len(wrong) / len(pairs) < 0.6
    assert all(p.chosen.count("a") < p.rejected.count("a") for p in wrong)


def test_storage_keeps_everything(tmp_path):
    found = judged_comparisons(EPISODES, LetterCount(), SURE)
    save_comparisons(tmp_path, found)
    assert load_comparisons(tmp_path) == found


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="got 1 pairs that all tie"):
        judged_comparisons([episode(0, "a"), episode(0, "a")], LetterCount(), SURE)


def test_sampled_episodes_are_finished_and_decoded(make_tiny_model, tiny_tokenizer_folder):
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    prompts = [Prompt(prompt_id=i, text="my friend said that " * 3) for i in range(30)]
    found = sample_episodes(
        make_tiny_model(), tokenizer, prompts, Sampling(max_prompt_tokens=4, max_new_tokens=40)
    )
    assert [e.prompt.prompt_id for e in found] == list(range(30))
    for e in found:
        assert len(e.prompt_ids) == 4
        assert (e.finish_reason == "eos") == (e.response_ids[-1] in tokenizer.eos_ids)
        assert e.response == tokenizer.decode(e.response_ids)
