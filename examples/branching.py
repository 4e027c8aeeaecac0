"""Branching an episode: copy the state, replace a token, play on.

`get_state` and `set_state` are exact, so the value of one token can be measured: play the same
prefix on, many times, once with the token and once with another, and compare the scores.

    python examples/branching.py
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import numpy as np

import textgym
from textgym.agents import PPO


def mean_score_after(env: gym.Env, agent: PPO, state: object, token: int, n: int) -> float:
    """Write `token` in a saved state, let the agent finish n times, return the mean score."""
    scores = []
    for _ in range(n):
        env.unwrapped.set_state(state)
        obs, _, terminated, _, info = env.step(token)
        while not terminated:
            action, _ = agent.predict(obs)
            obs, _, terminated, _, info = env.step(int(action))
        scores.append(info["score"])
    return float(np.mean(scores))


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Compare three continuations of one prefix; returns their mean scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=16, help="episodes for each token")
    args = parser.parse_args(argv)

    env = gym.make("RLHF-Summarize-v0", split="validation", kl_coef=0.0)
    agent = PPO("TransformerPolicy", env, seed=0)
    tokenizer = env.unwrapped.tokenizer
    (episode,) = textgym.rollout(env, agent, 1, seed=0, prompt_ids=[0])
    print(f"{episode.prompt.text}{episode.response}\n")

    middle = len(episode.response_ids) // 2
    env.reset(options={"prompt_id": 0})
    for token in episode.response_ids[:middle]:
        env.step(token)
    state = env.unwrapped.get_state()

    found = {}
    played = episode.response_ids[middle]
    for token in dict.fromkeys([played, tokenizer.eos_ids[0], tokenizer.encode(" brother")[0]]):
        name = "<end>" if token in tokenizer.eos_ids else tokenizer.decode([token])
        found[name] = mean_score_after(env, agent, state, token, args.samples)
        print(
            f"...{tokenizer.decode(episode.response_ids[:middle])[-40:]} + {name!r}: "
            f"mean score {found[name]:.3f}"
        )
    return found


if __name__ == "__main__":
    main()
