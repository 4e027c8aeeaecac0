"""What an algorithm's constructor fills in: value mode and lambda by the environment's score."""

from __future__ import annotations

import gymnasium as gym
import pytest

from textgym.agents.presets import PPO_PRESETS, resolved
from textgym.agents.rollouts.preparation import Prepared, prepare


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
