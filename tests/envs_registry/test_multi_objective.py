"""RLHF-MultiObjective-v0: weights, the vector of rewards, and the gold utility, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym.envs_registry.multi_objective import (
    BREVITY_SCALE,
    Brevity,
    MultiObjectiveConfig,
    MultiObjectiveGold,
    brevity_of,
    parsed_weights,
    true_helpfulness,
)
from textgym.envs_registry.summarize_posts.posts import SummarizePosts
from textgym.types import Episode
from textgym.wrappers import (
    ActionMaskObservation,
    HumanFeedback,
    MessageAction,
    PotentialShaping,
    PromptLengthObservation,
    RecordEpisodes,
    TextObservation,
    VectorPotentialShaping,
    VectorRecordEpisodes,
)

ID = "RLHF-MultiObjective-v0"
STEPS = 40


@pytest.fixture
def models(tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, Any]:
    return {
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "max_prompt_tokens": 40,
        "max_new_tokens": 5,
        "device": "cpu",
    }


def episode(response: str) -> Episode:
    return Episode(
        prompt=SummarizePosts(0, "train")[0],
        prompt_ids=(40,),
        response_ids=(41, 42),
        response=response,
        finish_reason="eos",
    )


def words(count: int) -> str:
    return " ".join(["word"] * count)


@pytest.mark.parametrize(
    ("count", "expected"), [(0, 1.0), (12, 1.0), (18, 0.75), (24, 0.5), (36, 0.0), (99, 0.0)]
)
def test_brevity(count: int, expected: float) -> None:
    assert brevity_of(words(count)) == expected


def test_brevity_is_paid_in_standard_deviations() -> None:
    mean, std = BREVITY_SCALE
    paid = Brevity()([episode(words(24)), episode("")])
    assert paid == pytest.approx([(0.5 - mean) / std, (1.0 - mean) / std])
    assert paid.dtype == np.float32


def test_weights_sum_to_one() -> None:
    assert parsed_weights("helpfulness=3,brevity=1") == {"helpfulness": 0.75, "brevity": 0.25}
    assert parsed_weights(" brevity = 2 , helpfulness=0") == {"helpfulness": 0.0, "brevity": 1.0}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("helpfulness=-1,brevity=2", "at least 0, got -1.0 in 'helpfulness=-1,brevity=2'"),
        ("helpfulness=0,brevity=0", "must not all be zero, got 'helpfulness=0,brevity=0'"),
        ("helpfulness=inf,brevity=1", "must be finite and at least 0, got inf"),
        ("helpfulness=nan,brevity=1", "must be finite and at least 0, got nan"),
        ("helpfulness=1", r"must name each of \('helpfulness', 'brevity'\) once"),
        ("helpfulness=1,shortness=1", "must name each of"),
        ("helpfulness=1,brevity=1,brevity=2", "must name each of"),
        ("helpfulness=much,brevity=1", "must be such as 'helpfulness=1,brevity=1'"),
        ("0.3,0.7", "must name each of"),
        ("", r"must name each of .* once, got ''"),
        (0, "weights must be such as 'helpfulness=1,brevity=1', got 0"),
    ],
)
def test_bad_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiObjectiveConfig(weights=weights)
    with pytest.raises(ValueError, match=message):
        gym.make(ID, weights=weights)


def test_contradictions_are_refused(models: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected no weights, got 'helpfulness=1,brevity=2'"):
        MultiObjectiveConfig(vector_reward=True, weights="helpfulness=1,brevity=2")
    with pytest.raises(ValueError, match="expected reward_timing='step', got 'deferred'"):
        MultiObjectiveConfig(vector_reward=True, reward_timing="deferred")
    with pytest.raises(ValueError, match="vector_reward must be True or False, got 1"):
        MultiObjectiveConfig(vector_reward=1)  # type: ignore[arg-type]
    envs: Any = gym.make_vec(ID, num_envs=2, vector_reward=True, **models).unwrapped
    with pytest.raises(ValueError, match="algorithms of one reward need vector_reward=False"):
        envs.set_reward_timing("deferred")
    envs.set_reward_timing("step")


def test_gold_weighs_help_and_brevity() -> None:
    one = episode(SummarizePosts(0, "train")[0].references[0])
    help_, brief = true_helpfulness(one), brevity_of(one.response)
    assert 0 < help_ <= 1 and 0 < brief <= 1
    gold = MultiObjectiveGold({"helpfulness": 0.75, "brevity": 0.25})([one, episode("")])
    assert gold == pytest.approx([0.75 * help_ + 0.25 * brief, 0.25])


def test_length_costs_no_help() -> None:
    told = SummarizePosts(0, "train")[0].references[0]
    # Stray words cost fluency, and nothing beside it however many there are.
    long, longer = episode(told + " so" * 40), episode(told + " so" * 4000)
    assert true_helpfulness(long) == pytest.approx(true_helpfulness(longer), abs=0.12)
    assert true_helpfulness(episode(words(40))) == 0.0


def test_terms_are_weighed_and_sum_to_the_reward(models: dict[str, Any]) -> None:
    plain = gym.make(ID, **models)
    tilted = gym.make(ID, weights="helpfulness=3,brevity=1", **models)
    ends = []
    for env in (plain, tilted):
        env.reset(seed=1)
        ended, info, reward = False, {}, 0.0
        while not ended:
            _, reward, ended, _, info = env.step(60)
        assert set(info["reward_terms"]) == {"helpfulness", "brevity", "kl"}
        assert sum(info["reward_terms"].values()) == pytest.approx(reward, abs=1e-6)
        ends.append(info["reward_terms"])
    assert ends[1]["helpfulness"] == pytest.approx(1.5 * ends[0]["helpfulness"], rel=1e-5)
    assert ends[1]["brevity"] == pytest.approx(0.5 * ends[0]["brevity"], rel=1e-5)
    assert ends[1]["kl"] == pytest.approx(ends[0]["kl"])


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_weighed_vector_is_the_scalar_reward(models: dict[str, Any], mode: str) -> None:
    settings = {"num_envs": 3, "autoreset_mode": mode, **models}
    scalar = gym.make_vec(ID, weights="helpfulness=3,brevity=1", **settings)
    vector = gym.make_vec(ID, vector_reward=True, **settings)
    rng = np.random.default_rng(0)
    scalar.reset(seed=4)
    vector.reset(seed=4)
    for _ in range(STEPS):
        actions = rng.integers(3, 300, 3)
        one, other = scalar.step(actions), vector.step(actions)
        assert np.array_equal(one[0], other[0])
        assert other[1].shape == (3, 2) and other[1].dtype == np.float32
        assert other[1] @ np.array([0.75, 0.25]) == pytest.approx(one[1], abs=1e-5)
        if mode == "Disabled" and one[2].any():
            for envs in (scalar, vector):
                envs.reset(options={"reset_mask": one[2].copy()})


def test_vector_convention_of_mo_gymnasium(models: dict[str, Any]) -> None:
    env: Any = gym.make(ID, vector_reward=True, disable_env_checker=True, **models)
    envs: Any = gym.make_vec(ID, num_envs=1, vector_reward=True, **models)
    assert env.unwrapped.reward_space.shape == (2,) and env.unwrapped.reward_dim == 2
    env.reset(seed=2)
    envs.reset(seed=2)
    ended = False
    while not ended:
        _, reward, ended, _, info = env.step(50)
        assert reward in env.unwrapped.reward_space
        assert np.allclose(envs.step([50])[1][0], reward, atol=1e-5)
    terms = info["reward_terms"]
    expected = [terms["helpfulness"] + terms["kl"], terms["brevity"] + terms["kl"]]
    assert reward == pytest.approx(expected, abs=1e-5)


def vector_env(models: dict[str, Any]) -> Any:
    return gym.make(ID, vector_reward=True, disable_env_checker=True, **models)


@pytest.mark.parametrize(
    "wrapper", [ActionMaskObservation, PromptLengthObservation, TextObservation, RecordEpisodes]
)
def test_wrappers_pass_vectors_on(
    models: dict[str, Any], wrapper: Any, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = [tmp_path / "vectors.jsonl"] if wrapper is RecordEpisodes else []
    plain, wrapped = vector_env(models), wrapper(vector_env(models), *path)
    plain.reset(seed=2)
    wrapped.reset(seed=2)
    ended, expected = False, []
    while not ended:
        expected.append(plain.step(50)[1])
        _, reward, ended, _, _ = wrapped.step(50)
        assert reward.dtype == np.float32 and np.array_equal(reward, expected[-1])
    for file in path:
        written = json.loads(file.read_text("utf-8"))["rewards"]
        assert written == [vector.tolist() for vector in expected]
    assert not [w for w in recwarn if "reward" in str(w.message)]


def test_a_message_is_paid_the_sum_of_its_vectors(models: dict[str, Any]) -> None:
    plain, message = vector_env(models), MessageAction(vector_env(models), form="tokens")
    plain.reset(seed=2)
    message.reset(seed=2)
    expected = sum(plain.step(50)[1] for _ in range(5))
    assert message.step(np.full(5, 50))[1] == pytest.approx(expected)


def test_rows_are_recorded_with_their_vectors(models: dict[str, Any], tmp_path: Path) -> None:
    envs: Any = gym.make_vec(ID, num_envs=2, vector_reward=True, **models)
    envs = VectorRecordEpisodes(envs, tmp_path / "rows.jsonl")
    envs.reset(seed=0)
    rewards = [envs.step([50, 60])[1] for _ in range(5)]
    lines = [
        json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").split("\n")[:-1]
    ]
    for line in lines:
        assert line["rewards"] == [vectors[line["row"]].tolist() for vectors in rewards]
    assert sorted(line["row"] for line in lines) == [0, 1]


def test_what_needs_one_number_says_so(models: dict[str, Any]) -> None:
    envs: Any = gym.make_vec(ID, num_envs=2, vector_reward=True, **models)
    said = "expected an environment that pays one number a step.*vector_reward=True"
    for build in (
        lambda: PotentialShaping(vector_env(models)),
        lambda: VectorPotentialShaping(envs),
        lambda: HumanFeedback(vector_env(models)),
        lambda: textgym.rollout(vector_env(models), None, 1),
        lambda: textgym.rollout(envs, None, 1),
    ):
        with pytest.raises(ValueError, match=said):
            build()
    assert not gym.make(ID, **models).unwrapped.get_wrapper_attr("pays_vectors")


def test_without_gold_on_other_posts(models: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "posts.jsonl").write_text('{"prompt": "one post"}\n', encoding="utf-8")
    env = gym.make(ID, dataset=str(tmp_path / "posts.jsonl"), **models)
    env.reset(seed=0)
    for _ in range(5):
        info = env.step(60)[4]
    assert "gold_score" not in info and "score" in info


def test_reward_that_may_never_answer_is_refused(models: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="answers at once, got 'teacher'"):
        gym.make_vec(
            ID, num_envs=1, reward="teacher", teacher="delay=3", reward_timing="deferred", **models
        )
