"""PromptBandit-v0: ratings, their noise, what can be reached, and that splits share no message."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym.envs_registry.prompt_bandit import COMPLAINTS, REPLIES, SYMBOLS, Messages

ID = "PromptBandit-v0"


def test_ratings_are_the_mean_and_the_customers_noise() -> None:
    env: Any = gym.make(ID).unwrapped
    prompt = env.task.prompts[7]
    topic, noise = prompt.facts["topic"], prompt.facts["noise"]
    for action, reply in enumerate(REPLIES):
        env.reset(options={"prompt_id": 7})
        _, reward, terminated, truncated, info = env.step(action)
        assert terminated and not truncated and info["response"] == reply
        mean = env.mean_ratings[topic, action]
        assert info["gold_score"] == pytest.approx(mean)
        assert reward == info["score"] == pytest.approx(mean + 0.1 * noise[action])
        assert 0 <= reward <= 1
    assert env.task.prompts[7].references == (REPLIES[topic],)


def test_what_can_be_reached_by_enumeration() -> None:
    env: Any = gym.make(ID).unwrapped
    means = env.mean_ratings
    assert means.shape == (len(COMPLAINTS), len(REPLIES))
    policies = np.stack(np.meshgrid(*[range(6)] * 5), axis=-1).reshape(-1, 5)
    returns = means[np.arange(5), policies].mean(axis=1)
    assert env.best_return == pytest.approx(returns.max()) == pytest.approx(0.8)
    assert env.random_return == pytest.approx(returns.mean())
    is_blind = (policies == policies[:, :1]).all(axis=1)
    assert env.blind_return == pytest.approx(returns[is_blind].max()) == pytest.approx(0.5)
    assert (returns == returns.max()).sum() == 1  # one best policy, the topics' own replies


def test_seeds_change_ratings_and_items_but_not_the_best_reply() -> None:
    one, other = (gym.make(ID, data_seed=s).unwrapped for s in (0, 1))
    means = [env.get_wrapper_attr("mean_ratings") for env in (one, other)]
    assert not np.array_equal(*means)
    assert (means[0].argmax(axis=1) == np.arange(5)).all()
    assert (means[1].argmax(axis=1) == np.arange(5)).all()
    assert Messages(0, "train")[3] == Messages(0, "train")[3] != Messages(1, "train")[3]


def test_splits_share_no_message_and_topics_are_even() -> None:
    found = {s: [Messages(0, s, 400)[i] for i in range(400)] for s in ("train", "validation")}
    texts = {split: {p.text for p in prompts} for split, prompts in found.items()}
    assert not texts["train"] & texts["validation"] and len(texts["train"]) > 150
    counts = np.bincount([p.facts["topic"] for p in found["train"]])
    assert counts.min() > 50
    noise = np.array([p.facts["noise"] for p in found["train"]])
    assert abs(noise.mean()) < 0.05 and noise.min() < -0.95 and noise.max() > 0.95
    assert max(len(text.split()) for text in texts["train"]) <= 11


def test_without_noise_and_with_gold_the_ratings_are_means() -> None:
    for kwargs in ({"rating_noise": 0.0}, {"reward": "gold"}):
        episodes = textgym.rollout(gym.make(ID, **kwargs), None, 20, seed=0)
        for episode in episodes:
            assert episode.score == pytest.approx(episode.gold_score)


def test_a_teacher_may_rate() -> None:
    env = gym.make(ID, reward="teacher", teacher="beta=5", teacher_feedback="score")
    (episode,) = textgym.rollout(env, None, 1, seed=0)
    assert episode.score is not None and np.isfinite(episode.score)


def test_the_tokenizer_reads_words_and_writes_replies() -> None:
    env: Any = gym.make(ID).unwrapped
    assert env.tokenizer.vocab_size == len(SYMBOLS) == env.vocab_size
    assert env.tokenizer.decode(env.tokenizer.encode("my parcel is late")) == "my parcel is late"
    assert env.tokenizer.decode(env.action_tokens[:1]) == env.replies[0]
    assert env.tokenizer.encode(env.replies[3]) == [env.action_tokens[3]]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rating_noise": 0.5}, "rating_noise must be 0 to 0.1, got 0.5"),
        ({"rating_noise": "much"}, "rating_noise must be a finite number, got 'much'"),
        ({"dataset": "x.jsonl"}, "dataset must be None here: it is fixed, got 'x.jsonl'"),
        ({"responder": "m:f"}, "responder must be None here: it is fixed, got 'm:f'"),
        ({"teacher": "beta=2"}, "teacher='beta=2' needs reward='teacher'"),
        ({"max_new_tokens": 2}, "max_new_tokens must be 1, a reply, got 2"),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(ID, **kwargs)


def test_a_message_of_ones_own_has_no_rating() -> None:
    said = "expected prompt_id=.*got prompt='my parcel is late'"
    for reward in ("model", "gold", "0.5*model+length"):
        with pytest.raises(ValueError, match=said):
            gym.make(ID, reward=reward).reset(options={"prompt": "my parcel is late"})
    envs = gym.make_vec(ID, num_envs=2)
    with pytest.raises(ValueError, match=said):
        envs.reset(options={"prompt": ["my parcel is late", None]})
    env = gym.make(ID, reward="length")
    env.reset(options={"prompt": "my parcel is late"})
    _, reward, ended, _, info = env.step(0)
    assert ended and reward == 1.0 and "gold_score" not in info
