"""RLHF-Recommend-v0: taste by hand, users, masks, reactions, and who leaves."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO as StockPPO

import textgym  # noqa: F401
from textgym.agents.ppo import PPO
from textgym.envs_registry.recommend import UnseenFilms
from textgym.envs_registry.recommend_users.catalogue import (
    GENRE_OF,
    GENRES,
    TITLES,
    symbol_of,
    titles_in,
)
from textgym.envs_registry.recommend_users.clerks import has_left, is_liking, told
from textgym.envs_registry.recommend_users.gold import Satisfaction
from textgym.envs_registry.recommend_users.taste import Taste, appeals, satisfaction
from textgym.envs_registry.recommend_users.users import HastyClerks, RecommendUsers
from textgym.types import Episode, Prompt

ID = "RLHF-Recommend-v0"
LIKING = {**dict.fromkeys(GENRES, 0.2), "crime": 0.8}


def gold(prompt: Prompt, response: str) -> float:
    episode = Episode(
        prompt=prompt, prompt_ids=(1,), response_ids=(2,), response=response, finish_reason="length"
    )
    return float(Satisfaction()([episode])[0])


def test_catalogue() -> None:
    assert len(TITLES) == len(set(TITLES)) == 36
    assert titles_in("Seen: [Alibi] gripped[Orbit]\nNext:[Nobody]") == ["Alibi", "Orbit"]


def test_taste_by_hand() -> None:
    taste = Taste(LIKING)
    assert taste.appeal("Alibi") == pytest.approx(0.8)
    assert taste.appeal("Witness") == pytest.approx(0.8 * 0.6)
    taste.show("Alibi")
    assert taste.liking["crime"] == pytest.approx(0.8 + 0.12 * 0.2)
    assert taste.liking["comedy"] == pytest.approx(0.2 * 0.97)
    assert taste.tiredness["crime"] == pytest.approx(0.35)
    assert taste.appeal("Ransom") == pytest.approx(0.824 * 0.65 * 0.95)
    taste.show("Mixup")
    assert taste.tiredness["crime"] == pytest.approx(0.175)
    assert taste.liking["crime"] == pytest.approx(0.824 * 0.97)


def test_what_is_shown_is_liked_more_in_the_end() -> None:
    shown, other = Taste(LIKING), Taste(LIKING)
    for title in ("Orbit", "Quasar", "Android"):
        shown.show(title)
    for title in ("Waltz", "Letters", "Harbour"):
        other.show(title)
    assert shown.liking["science"] > LIKING["science"] > other.liking["science"]


def test_satisfaction() -> None:
    assert satisfaction(LIKING, []) == 0.0
    assert satisfaction(LIKING, ["Alibi"]) == pytest.approx(0.1)
    both = list(appeals(LIKING, ["Alibi", "Ransom"]))
    assert satisfaction(LIKING, ["Alibi", "Ransom"]) == pytest.approx(sum(both) / 8)
    assert list(appeals(LIKING, ["Alibi", "Alibi"]))[1] == 0.0
    assert list(appeals(LIKING, ["Alibi"], seen=["Alibi"])) == [0.0]


def test_satisfaction_is_a_mean_over_the_slots_of_a_session() -> None:
    films = ["Alibi", "Ransom", "Orbit"]
    first, second, third = appeals(LIKING, films)
    assert satisfaction(LIKING, films, num_slots=3) == pytest.approx((first + second + third) / 3)
    assert satisfaction(LIKING, films, num_slots=20) == pytest.approx(
        sum((first, second, third)) / 20
    )
    assert satisfaction(LIKING, films, num_slots=1) == pytest.approx(0.8)  # the rest is too late
    perfect = dict.fromkeys(GENRES, 1.0)
    best = [titles[0] for titles in GENRES.values()]
    assert satisfaction(perfect, best, num_slots=2) <= 1.0


@pytest.mark.parametrize("num_slots", [3, 8, 20])
def test_gold_is_about_the_session_that_is_played(num_slots: int) -> None:
    """Its mean appeal over `max_new_tokens` slots; more reactions need more room."""
    env: Any = gym.make(ID, reward="gold", kl_coef=0.0, device="cpu", max_new_tokens=num_slots)
    lengths = []
    for prompt_id in range(12):
        env.reset(seed=prompt_id, options={"prompt_id": prompt_id})
        user = env.unwrapped.task.prompts[prompt_id]
        ended, info = False, {}
        while not ended:
            _, reward, ended, _, info = env.step(env.unwrapped.best_known_action())
        shown = titles_in(info["response"])
        expected = sum(appeals(user.facts["liking"], shown)) / num_slots
        assert reward == pytest.approx(expected, abs=1e-6) == info["gold_score"]
        assert info["finish_reason"] == ("length" if len(shown) == num_slots else "left")
        lengths += [len(shown), len(titles_in(user.references[0]))]
    assert max(lengths) == num_slots or num_slots == 20 and max(lengths) > 8
    assert env.unwrapped.task.responder.max_reply_tokens >= 2 * num_slots


def test_who_leaves() -> None:
    assert has_left([True, False, False, False])
    assert not has_left([False, False]) and not has_left([False, False, True])
    films = list(TITLES[:3])
    assert told(films, [False] * 3) == "[Mixup] groaned[Banana] groaned[Inlaws]"
    assert told(films[:1], [True]) == "[Mixup] laughed"


def test_users_and_their_scale() -> None:
    knowing, hasty = RecommendUsers(0, "train"), HastyClerks(0, "train")
    golds = {"knowing": [], "hasty": [], "random": []}
    rng = np.random.default_rng(0)
    for index in range(300):
        prompt = knowing[index]
        seen = titles_in(prompt.text)
        assert len(seen) == len(set(seen)) == 8
        assert sorted(prompt.facts["liking"]) == sorted(GENRES)
        shown = titles_in(prompt.references[0])
        assert not set(shown) & set(seen) and len(shown) == len(set(shown))
        anything = rng.choice([t for t in TITLES if t not in seen], 8, replace=False)
        golds["knowing"].append(gold(prompt, prompt.references[0]))
        golds["hasty"].append(gold(prompt, hasty[index].references[0]))
        golds["random"].append(gold(prompt, "".join(map(symbol_of, anything))))
    means = {name: float(np.mean(values)) for name, values in golds.items()}
    assert means["random"] + 0.02 < means["hasty"] < means["knowing"] - 0.15


def test_splits_share_no_user() -> None:
    found = [
        {str(RecommendUsers(0, split)[i].facts["liking"]) for i in range(200)}
        for split in ("train", "validation", "test")
    ]
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])


def test_mask_looks_at_filled_cells_only() -> None:
    mask = UnseenFilms(np.array([7, 8, 9]))
    ids = np.array([[8, 1, 9, 20], [1, 1, 1, 20]])
    allowed = mask(ids, np.array([2, 4]), np.array([1, 1]))
    assert allowed.tolist() == [[True, False, True], [True, True, True]]


def test_films_are_shown_once() -> None:
    env: Any = gym.make(ID, device="cpu")
    _, info = env.reset(seed=3)
    core = env.unwrapped
    seen = titles_in(info["prompt"])
    assert [TITLES[i] for i in np.flatnonzero(~core.action_masks())] == [
        title for title in TITLES if title in seen
    ]
    with pytest.raises(ValueError, match="is masked in row 0"):
        env.step(TITLES.index(seen[0]))
    first = int(np.flatnonzero(core.action_masks())[0])
    env.step(first)
    assert not core.action_masks()[first]


def test_session_ends_with_its_slots_or_its_user() -> None:
    env: Any = gym.make(ID, reward="gold", kl_coef=0.0, device="cpu")
    reasons = set()
    for prompt_id in range(12):
        env.reset(seed=prompt_id, options={"prompt_id": prompt_id})
        ended, info, steps = False, {}, 0
        while not ended:
            worst = np.flatnonzero(env.unwrapped.action_masks())[0]
            _, reward, ended, _, info = env.step(worst)
            steps += 1
        shown = titles_in(info["response"])
        assert len(shown) == steps <= 8
        words = [part.split("]")[-1].split(" ")[-1] for part in info["response"].split("[")[1:]]
        if info["finish_reason"] == "left":
            assert words[-1] == "" and not any(is_liking(word) for word in words[-3:])
        else:
            assert steps == 8 and "" not in words
        liking = env.unwrapped.task.prompts[prompt_id].facts["liking"]
        assert reward == pytest.approx(satisfaction(liking, shown), abs=1e-6)
        reasons.add(info["finish_reason"])
    assert reasons == {"left", "length"}


def test_reactions_follow_the_appeal() -> None:
    """The share of first films that are liked is near their mean appeal."""
    envs: Any = gym.make_vec(ID, num_envs=64, repeats=True, reward="gold", kl_coef=0.0)
    liked, appeal = [], []
    for seed in range(4):
        obs, info = envs.reset(seed=100 * seed)
        films = np.full(64, TITLES.index("Alibi"))
        users = [envs.unwrapped.task.prompts[int(i)] for i in info["prompt_id"]]
        ends = envs.unwrapped.prompt_lengths
        obs = envs.step(films)[0]
        said = [
            envs.unwrapped.tokenizer.decode(row[row < envs.unwrapped.vocab_size][end:])
            for row, end in zip(obs, ends, strict=True)
        ]
        liked += [is_liking(text.split("]")[-1]) for text in said]
        appeal += [next(appeals(u.facts["liking"], ["Alibi"], titles_in(u.text))) for u in users]
    assert np.mean(liked) == pytest.approx(np.mean(appeal), abs=0.09)
    assert np.corrcoef(liked, appeal)[0, 1] > 0.35


def test_best_known_action_is_the_most_appealing_film() -> None:
    env: Any = gym.make(ID, device="cpu")
    env.reset(options={"prompt_id": 1})
    core = env.unwrapped
    liking = core.task.prompts[1].facts["liking"]
    title = TITLES[core.best_known_action()]
    assert liking[GENRE_OF[title]] >= 0.7
    golds = []
    for prompt_id in range(10):
        env.reset(seed=prompt_id, options={"prompt_id": prompt_id})
        ended, info = False, {}
        while not ended:
            _, _, ended, _, info = env.step(core.best_known_action())
        golds.append(info["gold_score"])
    assert np.mean(golds) > 0.4


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="expected no dataset, got 'x.jsonl'"):
        gym.make(ID, dataset="x.jsonl")
    with pytest.raises(ValueError, match="repeats must be True or False, got 1"):
        gym.make(ID, repeats=1)
    with pytest.raises(ValueError, match="at most the 28 films .*repeats=True, got 29"):
        gym.make(ID, max_new_tokens=29)
    with pytest.raises(ValueError, match="the actions of RLHF-Recommend-v0 are fixed"):
        gym.make(ID, action_tokens="3")


def test_prompt_that_leaves_nothing_to_show_is_refused() -> None:
    env = gym.make(ID, device="cpu", max_prompt_tokens=64)
    every = "".join(map(symbol_of, TITLES))
    env.reset(options={"prompt": f"Seen: {every}\nNext:"})
    with pytest.raises(ValueError, match="'films not seen yet' allows no action in row 0"):
        env.step(0)


def test_agents_play() -> None:
    agent = PPO("TransformerPolicy", ID, n_envs=4, n_steps=16, batch_size=32, n_epochs=1)
    agent.learn(64)
    assert agent.num_timesteps == 64
    env = gym.make(ID, repeats=True)
    stock = StockPPO("MlpPolicy", env, n_steps=16, batch_size=16, device="cpu")
    stock.learn(16)
    assert stock.num_timesteps == 16
