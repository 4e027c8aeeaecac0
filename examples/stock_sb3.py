"""Stable-Baselines3's own PPO and A2C, unmodified, on a small-vocabulary text environment.

They know nothing of tokens, caches or the agent's half of the KL term: the environment is an
ordinary Gymnasium environment to them. (Without that half they do not optimise the KL-regularised
objective: docs/algorithms.md, "What your algorithm optimises".)

    python examples/stock_sb3.py
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import stable_baselines3 as sb3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import textgym  # noqa: F401  (registers the environments)

ENV_ID = "Probe-ExactKL-v0"


def main(argv: list[str] | None = None) -> dict[str, tuple[float, float]]:
    """Train both; return the mean episode reward before and after, by algorithm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    args = parser.parse_args(argv)
    results = {}
    for algorithm in (sb3.PPO, sb3.A2C):
        agent = algorithm("MlpPolicy", make_vec_env(ENV_ID, n_envs=8), seed=0, gamma=1.0)
        before, _ = evaluate_policy(agent, gym.make(ENV_ID), n_eval_episodes=200, warn=False)
        agent.learn(args.steps)
        after, _ = evaluate_policy(agent, gym.make(ENV_ID), n_eval_episodes=200, warn=False)
        print(f"{algorithm.__name__}: mean episode reward {before:.3f} before, {after:.3f} after")
        results[algorithm.__name__] = (float(before), float(after))
    return results


if __name__ == "__main__":
    main()
