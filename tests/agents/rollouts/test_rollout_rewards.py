"""Rewards of a rollout: both timings, both halves of the KL term, cuts, a critic's first values."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium.vector import VectorWrapper
from stable_baselines3.common.callbacks import BaseCallback

from tests.agents.rollouts.watching import MANY_ENDS, MakeEnv, Watch, buffer_of, logged
from textgym.agents import PPO, as_vec_env, kl_shaped


class Plain(VectorWrapper):
    """Stands between, so that rewards must come by step."""


def test_deferred_equals_step(make_text_env: MakeEnv) -> None:
    found = []
    for wrap in (lambda env: env, Plain):
        env = make_text_env(actions=MANY_ENDS)
        agent = PPO("TransformerPolicy", wrap(env), n_steps=9, seed=0)
        watch = Watch(lambda a: (buffer_of(a), logged(a), list(a.ep_info_buffer), a.samples))
        agent.learn(6 * 9 * 2, callback=watch)
        found.append(watch.seen)
    for (arrays, metrics, infos, samples), (others, theirs, those, them) in zip(
        *found, strict=True
    ):
        assert arrays["actions"].tolist() == others["actions"].tolist()
        for name, array in arrays.items():
            np.testing.assert_allclose(array, others[name], atol=1e-4, err_msg=name)
        for name in ("score", "kl", "reward", "response_tokens", "eos_rate", "episodes"):
            assert metrics[f"rollout/{name}"] == pytest.approx(
                theirs[f"rollout/{name}"], abs=1e-4
            ), name
        assert [i["r"] for i in infos] == pytest.approx([i["r"] for i in those], abs=1e-4)
        assert [s.response for s in samples] == [s.response for s in them]
        assert [s.score for s in samples] == pytest.approx([s.score for s in them])
    assert "time/settle_tokens_per_second" in found[0][0][1]
    assert "time/settle_tokens_per_second" not in found[1][0][1]


def test_rewards_hold_both_halves(make_text_env: MakeEnv) -> None:
    env = make_text_env(kl_coef=0.25)
    agent = PPO("TransformerPolicy", env, n_steps=7, seed=0)
    watch = Watch(lambda a: buffer_of(a))
    agent.learn(1, callback=watch)
    assert env.reward_timing == "step"
    twin = make_text_env(kl_coef=0.25)
    twin.reset(seed=0)
    buffer = watch.seen[0]
    rewards = np.stack([twin.step(buffer["actions"][:, t])[1] for t in range(7)], axis=1)
    shaped = kl_shaped(rewards, buffer["log_probs"], 0.25)
    np.testing.assert_allclose(buffer["rewards"], shaped, atol=1e-4)


def test_reward_timing_is_put_back_after_an_error(make_text_env: MakeEnv) -> None:
    env = make_text_env()

    class Fails(BaseCallback):
        def _on_step(self) -> bool:
            raise RuntimeError("stop here")

    agent = PPO("TransformerPolicy", env, n_steps=5, seed=0)
    with pytest.warns(RuntimeWarning, match="discarded"), pytest.raises(RuntimeError, match="here"):
        agent.learn(100, callback=Fails())
    assert env.reward_timing == "step"


def test_environments_left_deferred(make_text_env: MakeEnv) -> None:
    env = make_text_env(reward_timing="deferred")
    with pytest.raises(ValueError, match="deferred"):
        as_vec_env(env)
    agent = PPO("TransformerPolicy", env, n_steps=6, seed=0)
    agent.learn(1)
    assert env.reward_timing == "deferred"
    assert gym.vector.VectorEnv in type(env).__mro__


class CutAfter(VectorWrapper):
    """Truncates every row at step 3, as a user's wrapper might; rows end together."""

    def __init__(self, env: Any) -> None:
        """Count steps."""
        super().__init__(env)
        self.steps = 0

    def step(self, actions: Any) -> Any:
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        self.steps += 1
        if self.steps % 3 == 0:
            running = ~terminated
            info["final_obs"] = np.array(
                [obs[i] if running[i] else info["final_obs"][i] for i in range(len(obs))] + [None],
                dtype=object,
            )[:-1]
            info["_final_obs"] = np.ones(len(obs), bool)
            truncated = running
        return obs, rewards, terminated, truncated, info


def test_truncated_episodes_bootstrap_in_one_batch(make_text_env: MakeEnv) -> None:
    env = CutAfter(make_text_env(min_new_tokens=4))
    agent = PPO("TransformerPolicy", env, n_steps=3, gamma=0.9, gae_lambda=1.0, seed=0)
    with th.no_grad():
        agent.policy.value_head.bias.fill_(2.0)
    watch = Watch(lambda a: (buffer_of(a), a.rollout_buffer.is_end.copy()))
    agent.learn(1, callback=watch)
    arrays, is_end = watch.seen[0]
    assert is_end[:, 2].all()
    # KL is 0 at the start and no score is paid, so the cut step's reward is gamma * V = 1.8.
    np.testing.assert_allclose(arrays["rewards"][:, 2], 0.9 * 2.0, atol=1e-4)
    np.testing.assert_allclose(arrays["advantages"][:, 2], 1.8 - 2.0, atol=1e-4)


def test_a_fresh_critic_on_a_shared_trunk_begins_at_the_mean_return(make_text_env: MakeEnv) -> None:
    """A score far from 0 is no reason to pull the trunk: the head's bias starts there."""
    env = CutAfter(make_text_env(min_new_tokens=4, kl_coef=0.0))
    agent = PPO("TransformerPolicy", env, n_steps=3, gamma=0.5, gae_lambda=0.7, seed=0)

    def note(a: PPO) -> tuple[Any, ...]:
        bias = float(a.policy.value_head.bias.item())
        return buffer_of(a), a.rollout_buffer.is_end.copy(), bias

    env.step = lambda actions, step=env.step: _paid(step(actions), 8.0)  # type: ignore[method-assign]
    watch = Watch(note)
    agent.learn(1, callback=watch)
    arrays, is_end, bias = watch.seen[0]
    assert is_end[:, 2].all()
    # Each row pays 8, 8, 8 and is cut: 8 + 4 + 2, 8 + 4 and 8 follow the steps.
    assert bias == pytest.approx((14 + 12 + 8) / 3, abs=1e-3)
    np.testing.assert_allclose(arrays["step_values"], bias, atol=1e-3)
    # Behind the cut the critic's word is paid; its advantage, then the ones before by hand.
    last = 8 + 0.5 * bias - bias
    np.testing.assert_allclose(arrays["advantages"][:, 2], last, atol=1e-3)
    np.testing.assert_allclose(arrays["advantages"][:, 1], last + 0.5 * 0.7 * last, atol=1e-3)


def _paid(result: Any, reward: float) -> Any:
    obs, rewards, *rest = result
    return obs, np.full_like(rewards, reward), *rest
