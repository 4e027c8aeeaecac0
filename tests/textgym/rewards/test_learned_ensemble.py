"""Ensembles of reward models as one folder: rules by hand, what is refused, in an environment."""

import shutil

import gymnasium as gym
import numpy as np
import pytest

from textgym.rewards.ensemble_rule import EnsembleRule
from textgym.rewards.learned import RewardModel
from textgym.rewards.learned_ensemble import (
    EnsembleReward,
    first_model,
    is_ensemble,
    learned_reward,
    read_ensemble,
    write_ensemble,
)
from textgym.tokenizer import load_tokenizer
from textgym.types import Episode, Prompt


@pytest.fixture
def ensemble_folder(tmp_path, make_reward_folder):
    for member, architecture in enumerate(("llama", "gpt2")):
        shutil.copytree(
            make_reward_folder(architecture=architecture), tmp_path / f"member-{member}"
        )
    write_ensemble(tmp_path, EnsembleRule(rule="mean-variance", variance_weight=0.5), 2)
    return tmp_path


def episodes(*responses):
    return [
        Episode(
            prompt=Prompt(prompt_id=0, text="a"),
            prompt_ids=(4, 5),
            response_ids=ids,
            response="",
            finish_reason="eos",
        )
        for ids in responses
    ]


def test_members_are_combined_by_the_rule(ensemble_folder, tiny_tokenizer_folder):
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    asked = episodes((6, 7), (8, 9, 10), (11,))
    reward = learned_reward(ensemble_folder, tokenizer, "cpu")
    assert isinstance(reward, EnsembleReward)
    a, b = (RewardModel(ensemble_folder / f"member-{i}", tokenizer, "cpu")(asked) for i in (0, 1))
    np.testing.assert_allclose(reward(asked), (a + b) / 2 - 0.5 * ((a - b) / 2) ** 2, rtol=1e-5)
    assert reward(asked).dtype == np.float32
    assert first_model(ensemble_folder) == str(ensemble_folder / "member-0")


def test_a_single_model_stays_one(tiny_reward_folder, tiny_tokenizer_folder):
    assert not is_ensemble(tiny_reward_folder)
    assert first_model(tiny_reward_folder) == str(tiny_reward_folder)
    tokenizer = load_tokenizer(tiny_tokenizer_folder)
    assert isinstance(learned_reward(tiny_reward_folder, tokenizer, "cpu"), RewardModel)


def test_damage_is_named(ensemble_folder):
    shutil.rmtree(ensemble_folder / "member-1")
    with pytest.raises(ValueError, match="has no 'member-1'"):
        read_ensemble(ensemble_folder)
    for text in ("[]", "{", '{"rule": "best", "members": 1}', '{"members": 0}', '{"x": 1}'):
        (ensemble_folder / "ensemble.json").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match="ensemble"):
            read_ensemble(ensemble_folder)


def test_an_environment_is_paid_by_it(ensemble_folder, tiny_model_folder):
    (ensemble_folder / "prompts.jsonl").write_text(
        "".join(f'{{"prompt": "a dog {i}"}}\n' for i in range(20)), encoding="utf-8"
    )
    env = gym.make_vec(
        "RLHF-Summarize-v0",
        num_envs=2,
        reference_model=str(tiny_model_folder),
        reward_model=str(ensemble_folder),
        dataset=str(ensemble_folder / "prompts.jsonl"),
        max_new_tokens=2,
        device="cpu",
        kl_coef=0.0,
    )
    reward = env.unwrapped.task.reward
    assert isinstance(reward, EnsembleReward)
    env.reset(seed=0)
    paid = np.zeros(2)
    for _ in range(2):
        _, rewards, terminations, _, _ = env.step(np.array([20, 21]))
        paid += rewards
    assert terminations.all()
    prompts = [env.unwrapped.task.prompts[i] for i in range(len(env.unwrapped.task.prompts))]
    ids = [tuple(env.unwrapped.tokenizer.encode(p.text)) for p in prompts]
    possible = [
        float(
            reward(
                [
                    Episode(
                        prompt=p,
                        prompt_ids=prompt_ids,
                        response_ids=(token, token),
                        response="",
                        finish_reason="length",
                    )
                ]
            )[0]
        )
        for p, prompt_ids in zip(prompts, ids, strict=True)
        for token in (20, 21)
    ]
    for value in paid:
        assert np.abs(np.array(possible) - value).min() < 1e-4
