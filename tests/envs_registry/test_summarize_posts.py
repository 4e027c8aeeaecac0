"""The posts of RLHF-Summarize-v0: purity, splits, variety, wording."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest

from textgym.config import SPLITS
from textgym.envs_registry.procedural import owner_of
from textgym.envs_registry.summarize_posts import lexicon, phrasings
from textgym.envs_registry.summarize_posts.facts import (
    alternatives,
    count_fact_combinations,
    identity_of,
)
from textgym.envs_registry.summarize_posts.posts import STORY, SummarizePosts
from textgym.envs_registry.summarize_posts.wording import words_of


def split_of(facts):
    return owner_of(identity_of(facts))


PROMPT = re.compile(r"SUBREDDIT: r/(\w+)\n\nTITLE: ([^\n]+)\n\nPOST: ([^\n]+)\n\nTL;DR:")


@pytest.fixture(scope="module")
def posts():
    source = SummarizePosts(0, "train")
    return [source[i] for i in range(1000)]


def body(prompt):
    return PROMPT.fullmatch(prompt.text).group(3)


def test_same_seed_and_index_give_the_same_post_in_any_order():
    first, second = SummarizePosts(3, "train"), SummarizePosts(3, "train", size=50)
    forward = [first[i] for i in range(50)]
    backward = [second[i] for i in reversed(range(50))]
    assert forward == backward[::-1]
    assert forward[7] == first[7]
    assert forward[7].prompt_id == 7


def test_seeds_give_other_posts():
    one, two = SummarizePosts(0, "train"), SummarizePosts(1, "train")
    assert all(one[i].text != two[i].text for i in range(50))


def test_global_generator_is_neither_read_nor_touched():
    np.random.seed(5)
    before = SummarizePosts(0, "test")[0]
    expected = np.random.RandomState(5).random_sample()
    assert np.random.random_sample() == expected
    assert SummarizePosts(0, "test")[0] == before


def test_a_post_stays_the_same_between_versions():
    prompt = SummarizePosts(0, "train")[0]
    assert prompt.facts["who"] in lexicon.PEOPLE
    assert split_of(prompt.facts) == "train"
    example = {
        "subreddit": "music", "who": "my roommate", "action": "broke", "thing": "drum",
        "tried": "stay calm", "outcome": "said no", "question": "move on",
    }  # fmt: skip
    # sha256 of "music|my roommate|broke|drum|stay calm|said no|move on", worked out with sha256sum:
    # its first 8 bytes modulo 10 are 1, the bucket of the test split.
    assert split_of(example) == "test"


def test_splits_share_no_post():
    found = {
        split: {
            prompt.text
            for seed in (0, 1)
            for prompt in map(SummarizePosts(seed, split).__getitem__, range(1500))
        }
        for split in SPLITS
    }
    facts = {
        split: {
            json.dumps({**prompt.facts, "distractors": []})
            for prompt in map(SummarizePosts(0, split).__getitem__, range(1500))
        }
        for split in SPLITS
    }
    for table in (found, facts):
        assert not table["train"] & table["validation"]
        assert not table["train"] & table["test"]
        assert not table["validation"] & table["test"]


def test_split_shares_are_near_their_target():
    source = [SummarizePosts(0, split) for split in SPLITS]
    assert [len(posts) for posts in source] == [1_000_000, 10_000, 10_000]
    rng = np.random.default_rng(0)
    options = alternatives("work")
    draws = [
        split_of({"subreddit": "work", **{k: v[rng.integers(len(v))] for k, v in options.items()}})
        for _ in range(4000)
    ]
    share = Counter(draws)
    assert abs(share["train"] / 4000 - 0.8) < 0.03
    assert abs(share["test"] / 4000 - 0.1) < 0.02


def test_more_than_a_million_posts():
    assert count_fact_combinations() >= 10_000_000
    source = SummarizePosts(0, "train")
    texts = {source[i].text for i in range(20_000)}
    assert len(texts) >= 19_990


@pytest.mark.slow
def test_a_million_posts_are_a_million_texts():
    source = SummarizePosts(0, "train")
    assert len({hash(source[i].text) for i in range(1_000_000)}) == 1_000_000


def test_no_sentence_is_in_more_than_two_percent_of_posts(posts):
    seen = Counter(s for prompt in posts for s in set(re.split(r"(?<=[.!?]) ", body(prompt))))
    assert seen.most_common(1)[0][1] <= 20


def test_four_grams_are_varied(posts):
    grams = [
        tuple(words[i : i + 4])
        for prompt in posts
        for words in [body(prompt).split()]
        for i in range(len(words) - 3)
    ]
    assert len(set(grams)) / len(grams) >= 0.15


@pytest.mark.parametrize(
    "name", ["TITLES", "SETTINGS", "PROBLEMS", "ATTEMPTS", "OUTCOMES", "QUESTIONS", "DISTRACTORS"]
)
def test_at_least_twenty_phrasings_per_kind(name):
    frames = getattr(phrasings, name)
    assert len(set(frames)) == len(frames) >= 20


def test_every_phrasing_is_used(posts):
    bodies = " ".join(body(prompt) for prompt in posts)
    for frames in STORY:
        for frame in frames:
            fixed = max(re.split(r"\{\w+\}", frame), key=len)
            assert fixed.strip(" .?!").lower() in bodies.lower(), frame


def test_form_length_and_words(posts):
    lengths = []
    for prompt in posts:
        subreddit, title, text = PROMPT.fullmatch(prompt.text).groups()
        assert subreddit == prompt.facts["subreddit"]
        assert title[0].isupper() and "{" not in prompt.text
        assert text.endswith("?")
        (reference,) = prompt.references
        assert reference == reference.strip() and reference[-1] in ".?"
        assert len(reference.split()) <= 36
        lengths.append(len(text.split()))
    assert max(lengths) <= 65 and 44 <= np.mean(lengths) <= 60
    words = {w.lower() for p in posts for w in re.findall(r"\w+", p.text + p.references[0])}
    assert len(words) <= 600


def test_posts_tell_their_facts(posts):
    for prompt in posts[:300]:
        words = words_of(prompt.facts)
        text = prompt.text.lower()
        assert words["who"] in text
        assert f"my {words['thing']}" in text
        for name in ("outcome", "question"):
            assert words[name].lower() in text
        assert words["did"] in text or words["done"] in text
        assert words["try"] in text or words["tried"] in text
        assert all(detail.lower() in text for detail in prompt.facts["distractors"])
        assert json.loads(json.dumps(prompt.facts)) == prompt.facts


def test_facts_have_no_joining_words():
    values = [*lexicon.ATTEMPTS, *lexicon.ATTEMPTS.values(), *lexicon.OUTCOMES]
    values += [q for topic in lexicon.TOPICS.values() for q in topic.questions]
    assert len(lexicon.TOPICS) >= 8
    for value in (*values, *phrasings.DISTRACTORS):
        assert not re.search(r"\b(and|but|so)\b|,", value), value


@pytest.mark.parametrize("split", ["Train", "dev", "", None])
def test_unknown_split(split):
    with pytest.raises(ValueError, match="split must be one of"):
        SummarizePosts(0, split)


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None, True])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match="data_seed must be a whole number of at least 0"):
        SummarizePosts(seed, "train")


@pytest.mark.parametrize("size", [0, -3, 2.0])
def test_bad_size(size):
    with pytest.raises(ValueError, match="size must be a whole number of at least 1"):
        SummarizePosts(0, "train", size)


@pytest.mark.parametrize("index", [-1, 10, 1.0, "2"])
def test_bad_index(index):
    with pytest.raises(IndexError, match="prompt_id must be a whole number from 0 to 9"):
        SummarizePosts(0, "train", 10)[index]


def test_iteration_ends():
    assert len(list(SummarizePosts(0, "test", 12))) == 12
