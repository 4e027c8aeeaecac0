"""A text environment of your own: a function of prompts, a function of rewards, one call.

The task: name an animal of the colour that the prompt asks for. The policy is a small transformer
from scratch; nothing is downloaded.

    python examples/own_environment.py
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import numpy as np

import textgym
from textgym.agents import PPO
from textgym.types import Episode

COLOURS = {"green": "frog", "grey": "cat", "pink": "pig", "white": "swan"}


def prompts() -> list[str]:
    """One prompt for each colour."""
    return [f"{colour} :" for colour in COLOURS]


def reward(episodes: list[Episode]) -> list[float]:
    """1 for the right animal, nothing after it."""
    return [float(e.response.strip() == COLOURS[e.prompt.text.split()[0]]) for e in episodes]


def main(argv: list[str] | None = None) -> float:
    """Register the environment, train on it, return the mean score of 200 episodes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8_192)
    args = parser.parse_args(argv)

    words = " ".join([*COLOURS, *COLOURS.values(), ":"])
    textgym.register_text_env(
        "Animals-v0",
        prompts=prompts,
        reward=reward,
        tokenizer=f"symbols:{words} <eos>",
        max_prompt_tokens=2,
        max_new_tokens=2,
    )
    agent = PPO(
        "TransformerPolicy", "Animals-v0", n_envs=32, n_steps=16, learning_rate=1e-3, seed=0
    )
    agent.learn(args.steps)
    episodes = textgym.rollout(gym.make_vec("Animals-v0", num_envs=32), agent, 200, seed=1)
    mean = float(np.mean([episode.score for episode in episodes]))
    print(f"mean score after {args.steps} tokens: {mean:.2f}")
    return mean


if __name__ == "__main__":
    main()
