"""Branching an episode: copy the state, write another token, play on.

`get_state` and `set_state` are exact, so the worth of one token can be measured: stop in the middle
of a summary, write each of a few tokens, finish each many times, and compare the scores. (It is
what a value function estimates, and what tree search and counterfactual credit are made of.)

    python examples/branching.py
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from textgym.agents import PPO


def likely_tokens(agent: PPO, obs: np.ndarray, count: int) -> list[int]:
    """Return the agent's `count` likeliest next tokens."""
    with torch.no_grad():
        distribution = agent.policy.get_distribution(torch.as_tensor(obs[None]))
    return distribution.distribution.probs[0].topk(count).indices.tolist()


def scores_after(envs: gym.vector.VectorEnv, agent: PPO, state: Any, token: int) -> np.ndarray:
    """Write `token` in a saved state, once in every row, play on; return the scores (N,)."""
    envs.unwrapped.set_state(state)  # the one row of `state` goes into all rows
    memory, scores = None, np.full(envs.num_envs, np.nan)
    actions = np.full(envs.num_envs, token)
    while True:
        obs, _, terminated, _, info = envs.step(actions)
        first_end = terminated & np.isnan(scores)  # a row that ended begins another post
        if first_end.any():
            scores[first_end] = info["final_info"]["score"][first_end]
        if not np.isnan(scores).any():
            return scores
        actions, memory = agent.predict(obs, state=memory)


def main(argv: list[str] | None = None) -> dict[str, np.ndarray]:
    """Compare the continuations of one prefix; return their scores."""
    parser = argparse.ArgumentParser(description="Measure the worth of one token.")
    parser.add_argument("--env-id", default="RLHF-Summarize-v0")
    parser.add_argument("--samples", type=int, default=32, help="episodes for each token")
    parser.add_argument("--prefix", type=int, default=6, help="tokens written before the branch")
    args = parser.parse_args(argv)

    envs = gym.make_vec(args.env_id, num_envs=args.samples, split="validation")
    envs.reset(seed=0)
    agent = PPO("TransformerPolicy", envs, seed=0)  # untrained: a copy of the reference model
    env = gym.make(args.env_id, split="validation")
    obs, info = env.reset(options={"prompt_id": 0})
    for _ in range(args.prefix):  # the likeliest tokens, as greedy decoding would
        obs, *_ = env.step(likely_tokens(agent, obs, 1)[0])
    state, tokenizer = env.unwrapped.get_state(), env.unwrapped.tokenizer
    print(info["prompt"] + tokenizer.decode(obs[info["prompt_length"] :][: args.prefix]))

    found = {}
    for token in dict.fromkeys([*likely_tokens(agent, obs, 4), env.unwrapped.eos_ids[0]]):
        name = tokenizer.decode([token], skip_special_tokens=False)
        found[name] = scores_after(envs, agent, state, token)
        print(f"  ... {name!r:12} mean score {found[name].mean():6.3f} +- {found[name].std():.3f}")
    return found


if __name__ == "__main__":
    main()
