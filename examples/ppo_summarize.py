"""PPO on RLHF-Summarize-v0 in Stable-Baselines3's way: make, learn, save, load, predict.

    python examples/ppo_summarize.py --steps 200000

The gold score is what the people meant; the agent is paid by a learned reward model and never sees
it. Both are printed while it learns, and the gold score of held-out posts before and after.
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import numpy as np

from textgym.agents import PPO

ENV_ID = "RLHF-Summarize-v0"


def held_out_gold(agent: PPO, num_envs: int, num_steps: int) -> float:
    """Play held-out posts for some steps by hand; return the mean gold score."""
    envs = gym.make_vec(ENV_ID, num_envs=num_envs, split="validation")
    obs, _ = envs.reset(seed=0)
    state, starts = None, np.ones(num_envs, bool)  # the state is the policy's KV cache
    golds: list[float] = []
    for _ in range(num_steps):
        actions, state = agent.predict(obs, state=state, episode_start=starts)
        obs, _, terminated, truncated, info = envs.step(actions)
        starts = terminated | truncated
        if starts.any():
            golds.extend(info["final_info"]["gold_score"][starts])
    return float(np.mean(golds))


def main(argv: list[str] | None = None) -> tuple[float, float]:
    """Train, save and load; return the held-out gold score before and after."""
    parser = argparse.ArgumentParser(description="PPO on RLHF-Summarize-v0.")
    parser.add_argument("--steps", type=int, default=200_000, help="tokens written in all")
    parser.add_argument("--num-envs", type=int, default=64, help="rows stepped together")
    parser.add_argument("--eval-steps", type=int, default=200, help="steps of each held-out row")
    parser.add_argument("--output", default="runs/ppo_summarize", help="folder of the agent")
    args = parser.parse_args(argv)

    envs = gym.make_vec(ENV_ID, num_envs=args.num_envs)
    agent = PPO("TransformerPolicy", envs, seed=0, verbose=1)
    before = held_out_gold(agent, args.num_envs, args.eval_steps)
    agent.learn(args.steps)
    agent.save(args.output)

    agent = PPO.load(args.output)
    after = held_out_gold(agent, args.num_envs, args.eval_steps)
    print(f"gold score on held-out posts: {before:.3f} before, {after:.3f} after")
    return before, after


if __name__ == "__main__":
    main()
