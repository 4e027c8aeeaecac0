"""PPO on RLHF-Summarize-v0, from the id to a saved agent, in Stable-Baselines3's way.

python examples/ppo_summarize.py --steps 200000
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import numpy as np

from textgym.agents import PPO


def main(argv: list[str] | None = None) -> None:
    """Train, save, load, and play 64 rows through the vector environment by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000, help="environment steps (tokens)")
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--output", default="runs/ppo_summarize")
    args = parser.parse_args(argv)

    envs = gym.make_vec("RLHF-Summarize-v0", num_envs=args.num_envs)
    PPO("TransformerPolicy", envs, seed=0, verbose=1).learn(args.steps).save(args.output)

    envs = gym.make_vec("RLHF-Summarize-v0", num_envs=args.num_envs, split="validation", kl_coef=0)
    agent = PPO.load(args.output, env=envs)
    obs, info = envs.reset(seed=0)
    state, starts = None, np.ones(envs.num_envs, bool)
    golds = []
    for _ in range(envs.unwrapped.max_new_tokens):
        actions, state = agent.predict(obs, state=state, episode_start=starts)
        obs, _, terminated, truncated, info = envs.step(actions)
        starts = terminated | truncated
        if starts.any():
            golds.extend(info["final_info"]["gold_score"][starts])
    print(f"mean gold of {len(golds)} held-out summaries: {np.mean(golds):.3f}")


if __name__ == "__main__":
    main()
