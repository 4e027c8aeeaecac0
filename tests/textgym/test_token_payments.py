"""Rewards paid token by token: by hand on a toy, and a real reward model in both timings."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym.config import TextEnvConfig
from textgym.models.reward_model import ScoreScale, write_score_scale
from textgym.prompts import PromptList
from textgym.reference import ResponseSequence, TableReference
from textgym.rewards.base import RewardFn
from textgym.rewards.composed import WeightedSum
from textgym.rewards.programmatic import PROGRAMMATIC
from textgym.task import TextTask
from textgym.testing import check_text_env
from textgym.tokenizer import SymbolTokenizer
from textgym.types import Episode
from textgym.vector_env import TokenVectorEnv

TOKENIZER = SymbolTokenizer(["p", "q", "a", "b", "<eos>"])
A, B, EOS = 2, 3, 4
WORTH = {A: 3.0, B: -1.0, EOS: 1.0}
LOG_THIRD = -np.log(5)  # of a flat reference over five tokens


class Worth:
    """A token is worth what `WORTH` says, whatever stands before it."""

    name = "worth"

    def __init__(self, token_aggregate: str) -> None:
        """Count how many sequences are read as a whole."""
        self.token_aggregate: str | None = token_aggregate
        self.full_reads = 0

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        raise AssertionError("token rewards are known: no episode has to be read again")

    def token_rewards(self, sequences: Sequence[ResponseSequence]) -> list[np.ndarray]:
        self.full_reads += len(sequences)
        return [
            np.array([WORTH.get(int(i), np.nan) for i in s.ids[s.prompt_length :]])
            for s in sequences
        ]

    def new_steps(self, num_rows: int, width: int) -> Worth:
        return self

    def rewards(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        last = ids[np.arange(len(ids)), lengths - 1]
        return np.array([WORTH.get(int(token), np.nan) for token in last])


def make(reward: RewardFn, num_envs: int = 1, **kwargs: Any) -> TokenVectorEnv:
    def build(config: TextEnvConfig) -> TextTask:
        return TextTask(
            config=config,
            prompts=PromptList(["p", "q"]),
            tokenizer=TOKENIZER,
            reward=reward,
            make_reference=lambda rows, width: TableReference(lambda state: np.zeros(5)),
            eos_ids=TOKENIZER.eos_ids,
            action_tokens=np.arange(5),
        )

    sizes = {"max_prompt_tokens": 1, "max_new_tokens": 4, "kl_coef": 0.1, "reward_level": "token"}
    envs = TokenVectorEnv(build, num_envs, **{**sizes, **kwargs})
    envs.reset(seed=0)
    return envs


def play(envs: TokenVectorEnv, tokens: Sequence[int]) -> tuple[list[float], list[Any]]:
    rewards, infos = [], []
    for token in tokens:
        _, reward, _, _, info = envs.step(np.full(envs.num_envs, token))
        rewards.append(float(reward[0]))
        infos.append(info)
    return rewards, infos


@pytest.mark.parametrize(
    ("aggregate", "paid", "score"),
    [
        ("sum", [3.0, -1.0, 1.0], 3.0),
        # Means so far: 3, 1, 1.
        ("mean", [3.0, -2.0, 0.0], 1.0),
    ],
)
def test_payments_by_hand(aggregate: str, paid: list[float], score: float) -> None:
    reward = Worth(aggregate)
    rewards, infos = play(make(reward), [A, B, EOS])
    assert rewards == pytest.approx([p + 0.1 * LOG_THIRD for p in paid])
    assert [info["token_reward"][0] for info in infos[:2]] == [3.0, -1.0]
    end = infos[2]["final_info"]
    assert end["token_reward"][0] == 1.0 and end["score"][0] == pytest.approx(score)
    terms = {name: values[0] for name, values in end["reward_terms"].items() if name[0] != "_"}
    assert terms == pytest.approx({"worth": paid[2], "kl": 0.1 * LOG_THIRD})
    assert reward.full_reads == 0


def test_other_parts_of_a_sum_are_paid_at_the_end() -> None:
    reward = WeightedSum([(2.0, Worth("sum")), (0.5, PROGRAMMATIC["length"]())])
    rewards, infos = play(make(reward, kl_coef=0.0), [A, A, EOS])
    assert rewards == pytest.approx([6.0, 6.0, 2.0 + 0.5 * 2])
    assert infos[2]["final_info"]["score"][0] == pytest.approx(15.0)


@pytest.mark.parametrize("aggregate", ["sum", "mean"])
def test_a_missing_end_replaces_the_whole_score(aggregate: str) -> None:
    envs = make(Worth(aggregate), kl_coef=0.0, missing_eos_score=-7.0)
    rewards, infos = play(envs, [A, B, B, B])
    assert sum(rewards) == pytest.approx(-7.0)
    assert infos[3]["final_info"]["score"][0] == -7.0
    assert rewards[0] == 3.0


@pytest.mark.parametrize("aggregate", ["sum", "mean"])
@pytest.mark.parametrize("settle_every", [1, 2, 7])
def test_deferred_equals_step(aggregate: str, settle_every: int) -> None:
    generator = np.random.default_rng(0)
    actions = generator.choice([A, B, EOS], size=(24, 3))
    paying, reward = make(Worth(aggregate), 3), Worth(aggregate)
    deferring = make(reward, 3, reward_timing="deferred")
    expected = np.stack([paying.step(a)[1] for a in actions])
    found, scores = [], []
    for step, action in enumerate(actions, start=1):
        _, rewards, _, _, info = deferring.step(action)
        assert not rewards.any() and "token_reward" not in info
        if step % settle_every == 0 or step == len(actions):
            found.append(deferring.settle_rewards())
            scores += [settled.episode for settled in deferring.settled_episodes]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-6)
    assert len(scores) > 10
    for episode in scores:
        values = [WORTH[token] for token in episode.response_ids]
        assert episode.token_rewards == tuple(values)
        assert episode.score == pytest.approx(
            np.sum(values) if aggregate == "sum" else np.mean(values)
        )
        # What was paid, without the reference's half.
        paid = np.array(episode.rewards) - 0.1 * np.array(episode.ref_log_probs)
        assert paid.sum() == pytest.approx(episode.score, abs=1e-5)


def test_switching_to_steps_in_the_middle_recalls_what_was_never_read() -> None:
    reward = Worth("mean")
    envs = make(reward, kl_coef=0.0, reward_timing="deferred")
    play(envs, [A])
    with pytest.warns(RuntimeWarning, match="discarded"):
        envs.set_reward_timing("step")
    rewards, _ = play(envs, [B, EOS])
    assert rewards == pytest.approx([-2.0, 0.0]) and reward.full_reads == 1


def test_a_state_brings_what_its_tokens_were_worth() -> None:
    reward = Worth("mean")
    envs = make(reward, 2, kl_coef=0.0)
    play(envs, [A, B])
    envs.set_state(envs.get_state(0), rows=[1])
    _, rewards, *_ = envs.step(np.array([EOS, A]))
    assert rewards.tolist() == pytest.approx([0.0, 5 / 3 - 1]) and reward.full_reads == 0


def test_what_cannot_be_paid_by_token_is_named() -> None:
    with pytest.raises(ValueError, match="reward_level='token' needs a reward of every token"):
        make(PROGRAMMATIC["length"]())
    with pytest.raises(ValueError, match="'worth' gave nan for a token"):
        play(make(Worth("sum")), [A, 0])
    with pytest.raises(ValueError, match=r"reward_level must be .*got 'tokens'; did you mean"):
        TextEnvConfig(reward_level="tokens")
    with pytest.raises(ValueError, match="token_aggregate must be one of"):
        TextEnvConfig(token_aggregate="max")


@pytest.fixture
def token_env(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny_model_folder: Path,
    tiny_reward_folder: Path,
) -> str:
    """An environment whose reward model says that it was trained on the mean."""
    folder = tmp_path / "reward"
    shutil.copytree(tiny_reward_folder, folder)
    write_score_scale(folder, ScoreScale(gain=2.0, bias=0.5, token_aggregate="mean"))
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    textgym.register_text_env(
        "PerToken-v0",
        prompts=_prompts,
        reference_model=str(tiny_model_folder),
        reward_model=str(folder),
        reward_level="token",
        max_prompt_tokens=24,
        max_new_tokens=6,
        device="cpu",
    )
    return "PerToken-v0"


def _prompts() -> list[str]:
    return [f"my friend said {word}.\n\nTL;DR:" for word in ("money", "home", "trip")]


@pytest.mark.parametrize("aggregate", [None, "sum"])
def test_a_reward_model_keeps_the_whole_contract(token_env: str, aggregate: str | None) -> None:
    check_text_env(token_env, num_steps=25, token_aggregate=aggregate)


def test_paid_at_the_end_or_by_token_the_score_is_the_same(token_env: str) -> None:
    found = {}
    for level in ("token", "response"):
        env = gym.make(token_env, reward_level=level, kl_coef=0.0)
        env.reset(seed=1)
        rewards = []
        while True:
            _, reward, ended, _, info = env.step(40 + len(rewards))
            rewards.append(reward)
            if ended:
                break
        found[level] = (rewards, info["score"])
        assert sum(rewards) == pytest.approx(info["score"], abs=1e-5)
    assert found["token"][1] == pytest.approx(found["response"][1], abs=1e-4)
    assert np.count_nonzero(found["token"][0]) == 6 and not any(found["response"][0][:-1])


def test_a_reward_model_of_whole_responses_must_be_told(token_env: str, tiny_reward_folder: Path):
    with pytest.raises(ValueError, match="--token-aggregate mean"):
        gym.make(token_env, reward_model=str(tiny_reward_folder))
    env = gym.make(token_env, reward_model=str(tiny_reward_folder), token_aggregate="sum")
    assert env.unwrapped.task.reward.token_aggregate == "sum"
