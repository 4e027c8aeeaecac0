"""The literal loop by hand: one environment, one token at a time.

What you see: the observation is the prompt and the response so far, the action is one token, every
step pays `kl_coef * log pi_ref`, and the last one pays the reward model's score on top. Then the
same episode is played with actions of the reference model's own, read off the environment.

    python examples/literal_loop.py
"""

from __future__ import annotations

import gymnasium as gym

import textgym
from textgym.agents import PPO


def play_randomly(env: gym.Env) -> None:
    """Play one episode of random tokens and print what each step paid."""
    _, info = env.reset(seed=0)
    print(info["prompt"])
    ended = False
    while not ended:
        action = env.action_space.sample()
        _, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        piece = env.unwrapped.tokenizer.decode([int(action)])
        print(f"{piece!r:20} log pi_ref {info['ref_log_prob']:8.3f}   reward {reward:8.3f}")
    print(f"score {info['score']:.3f}, gold {info['gold_score']:.3f}: {info['finish_reason']}")


def main() -> None:
    """Play random tokens, then let the reference model answer the same prompt."""
    env = gym.make("RLHF-Summarize-v0", split="validation")
    env.action_space.seed(0)
    play_randomly(env)

    # An untrained agent is its own copy of the reference model.
    agent = PPO("TransformerPolicy", env, seed=0)
    for episode in textgym.rollout(env, agent, 3, seed=0):
        print(f"\n{episode.prompt.text}{episode.response}")
        print(f"score {episode.score:.3f}, gold {episode.gold_score:.3f}")


if __name__ == "__main__":
    main()
