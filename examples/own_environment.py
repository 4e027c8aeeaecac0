"""A text environment of your own: a function of prompts, a function of rewards, one call.

The task: name an animal of the colour that the prompt asks for, and nothing else. The agent is a
small transformer from scratch that begins by writing random words; nothing is downloaded.

    python examples/own_environment.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

import textgym
from textgym.agents import PPO, LearningRate
from textgym.types import Episode

ANIMALS = {"green": "frog", "grey": "cat", "pink": "pig", "white": "swan"}


def prompts() -> list[str]:
    """One prompt for each colour."""
    return [f"{colour} :" for colour in ANIMALS]


def reward(episodes: Sequence[Episode]) -> list[float]:
    """Half for the right animal as the first word, half for leaving it at that."""
    scores = []
    for episode in episodes:
        colour, words = episode.prompt.text.split()[0], episode.response.split()
        is_right = words[:1] == [ANIMALS[colour]]
        scores.append(0.5 * is_right + 0.5 * (is_right and len(words) == 1))
    return scores


def main(argv: list[str] | None = None) -> float:
    """Register the environment, train on it, return the mean score of 200 episodes."""
    parser = argparse.ArgumentParser(description="Train on an environment of your own.")
    parser.add_argument("--steps", type=int, default=24_576, help="tokens written in all")
    parser.add_argument("--num-envs", type=int, default=128, help="rows stepped together")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    textgym.register_text_env(
        "Animals-v0",
        prompts=prompts,
        reward=reward,
        tokenizer=f"symbols:{' '.join([*ANIMALS, *ANIMALS.values(), ':'])} <eos>",
        max_prompt_tokens=2,
        max_new_tokens=2,
    )
    envs = gym.make_vec("Animals-v0", num_envs=args.num_envs)
    # From scratch a high rate is needed at first and does harm once the answers are right.
    rate = LearningRate(peak=1e-3, final_fraction=0.0)
    agent = PPO(
        "TransformerPolicy",
        envs,
        n_steps=8,
        n_epochs=4,
        batch_size=256,
        learning_rate=rate,
        seed=args.seed,
    )
    agent.learn(args.steps)

    episodes = textgym.rollout(envs, agent, 200, seed=1)
    for episode in episodes[:8]:
        print(f"{episode.prompt.text} {episode.response:10} {episode.score:.1f}")
    mean = float(np.mean([episode.score for episode in episodes]))
    print(f"mean score of {len(episodes)} sampled answers: {mean:.2f}")
    return mean


if __name__ == "__main__":
    main()
