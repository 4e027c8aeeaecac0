"""Stable-Baselines3's own PPO and A2C, unmodified, on a small-vocabulary text environment.

To them it is an ordinary Gymnasium environment. They know nothing of tokens, KV caches or the
agent's half of the KL penalty, so they learn to please the reward and the reference model, not to
stay close to the latter: docs/algorithms.md, "What your algorithm optimises".

    python examples/stock_sb3.py
"""

from __future__ import annotations

import argparse

import gymnasium as gym
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import textgym  # noqa: F401  (registers the environments)

ENV_ID = "Probe-ExactKL-v0"  # six tokens, responses of at most four, no model to load


def make_env() -> gym.Env:
    """Make one environment."""
    return gym.make(ENV_ID)


def mean_reward(agent: BaseAlgorithm, n_episodes: int) -> float:
    """Return the mean sum of rewards of sampled episodes."""
    envs = make_vec_env(make_env, n_envs=8, seed=1)
    return evaluate_policy(agent, envs, n_episodes, deterministic=False)[0]


def main(argv: list[str] | None = None) -> dict[str, tuple[float, float]]:
    """Train both; return the mean episode reward before and after, by algorithm."""
    parser = argparse.ArgumentParser(description="SB3's own algorithms on a text environment.")
    parser.add_argument("--steps", type=int, default=20_000, help="environment steps")
    parser.add_argument("--eval-episodes", type=int, default=400)
    args = parser.parse_args(argv)

    envs = make_vec_env(make_env, n_envs=8, seed=0)
    agents = {
        "PPO": PPO("MlpPolicy", envs, n_steps=128, gamma=1.0, seed=0),
        "A2C": A2C("MlpPolicy", envs, gamma=1.0, seed=0),
    }
    results = {}
    for name, agent in agents.items():
        before = mean_reward(agent, args.eval_episodes)
        after = mean_reward(agent.learn(args.steps), args.eval_episodes)
        print(f"{name}: mean episode reward {before:.2f} before, {after:.2f} after")
        results[name] = (before, after)
    return results


if __name__ == "__main__":
    main()
