"""What an algorithm's constructor fills in by the environment's score, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.wrappers.vector import NormalizeReward
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from textgym.agents import A2C, PPO, TransformerPolicy
from textgym.agents.presets import PPO_PRESETS, resolved
from textgym.agents.rollouts.preparation import Prepared, check_policy_kwargs, prepare
from textgym.agents.rollouts.vec_env_adapter import TextVecEnv


def prepared(reward: str, **given: object) -> Prepared:
    env = gym.make_vec("RLHF-Summarize-v0", num_envs=2, reward=reward, device="cpu")
    return prepare(resolved(PPO_PRESETS, "textgym", given), env, 2)


def test_a_learned_score_gets_a_value_model_of_its_own() -> None:
    made = prepared("model")
    assert made.facts is not None and made.policy_kwargs["value"] == "separate"
    assert made.policy_kwargs["value_init"] == made.facts.reward_model
    assert made.gae_lambda == 0.9


@pytest.mark.parametrize("reward", ["gold", "rouge"])
def test_other_scores_share_the_trunk(reward: str) -> None:
    made = prepared(reward)
    assert made.policy_kwargs == {"value": "shared"}
    assert made.gae_lambda == 0.95


def test_what_the_user_says_wins() -> None:
    made = prepared("model", policy_kwargs={"value": "shared"}, gae_lambda=0.5)
    assert made.policy_kwargs == {"value": "shared"}
    assert made.gae_lambda == 0.5


@pytest.mark.parametrize("algorithm", [PPO, A2C])
@pytest.mark.parametrize(
    "env",
    [
        "CartPole-v1",
        "RLHF-CartPole-v0",
        lambda: gym.make("CartPole-v1"),
        lambda: gym.make_vec("CartPole-v1", num_envs=2),
    ],
)
def test_an_environment_without_text_is_named(algorithm: type[PPO] | type[A2C], env: Any) -> None:
    name = "RLHF-CartPole-v0" if env == "RLHF-CartPole-v0" else "CartPole-v1"
    message = f"expected a text environment, such as 'RLHF-Summarize-v0', got '{name}', which has"
    with pytest.raises(ValueError, match=message):
        algorithm("TransformerPolicy", env() if callable(env) else env)


def test_errors_of_text_environments_stay_their_own() -> None:
    with pytest.raises(TypeError, match="did you mean 'max_new_tokens'"):
        PPO(env="Probe-ExactKL-v0", env_kwargs={"max_new_token": 3})
    with pytest.raises(ValueError, match="autoreset_mode 'SameStep', got .*Disabled"):
        PPO(env=gym.make_vec("Probe-ExactKL-v0", num_envs=2, autoreset_mode="Disabled"))


def test_a_misspelt_policy_argument_is_named_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="unknown entry 'lorra' of policy_kwargs; did you mean 'lo"):
        PPO(env="Probe-ExactKL-v0", policy_kwargs={"lorra": "r=8"})
    with pytest.raises(TypeError, match="unknown entry 'qq' of policy_kwargs; known: action_token"):
        A2C(env="Probe-ExactKL-v0", policy_kwargs={"qq": 1})


def test_arguments_of_a_subclass_of_the_policy_are_known() -> None:
    class MyPolicy(TransformerPolicy):
        def __init__(self, *args: Any, extra: int = 0, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

    check_policy_kwargs(MyPolicy, {"extra": 1, "lora": None, "optimizer_kwargs": {}})
    for wrong in ("extras", "self", "args"):
        with pytest.raises(TypeError, match=f"unknown entry '{wrong}'"):
            check_policy_kwargs(MyPolicy, {wrong: 1})


def test_normalised_rewards_are_refused(make_text_env: Callable[..., Any]) -> None:
    normalised = VecNormalize(TextVecEnv(make_text_env()), norm_obs=False)
    with pytest.raises(ValueError, match="VecNormalize"):
        PPO("TransformerPolicy", normalised)
    with pytest.raises(ValueError, match="NormalizeReward"):
        PPO("TransformerPolicy", NormalizeReward(make_text_env()))


def test_normalised_rewards_of_single_environments_are_refused() -> None:
    def make() -> gym.Env:
        return gym.wrappers.NormalizeReward(gym.make("Probe-ExactKL-v0"))

    for env in (make(), DummyVecEnv([make])):
        with pytest.raises(ValueError, match="rows without NormalizeReward"):
            PPO("TransformerPolicy", env)


def test_foreign_environments_and_policies_are_refused(make_text_env: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="text environment"):
        PPO("TransformerPolicy", "MountainCar-v0", n_envs=2)
    with pytest.raises(ValueError, match="unknown"):
        PPO("MlpPolicy", make_text_env())
    with pytest.raises(TypeError, match="got 3"):
        PPO("TransformerPolicy", 3)
