"""The literal loop by hand: one environment, one token at a time.

The observation is the prompt and the response so far, the action is one token. Every step pays
`kl_coef * log pi_ref`: the reference model dislikes random tokens, and says so at once. The last
step pays the reward model's score on top. Then the reference model itself answers the same post.

    python examples/literal_loop.py
"""

from __future__ import annotations

import argparse

import gymnasium as gym

import textgym
from textgym.agents import PPO


def scores(score: float, gold_score: float | None) -> str:
    """Put the reward model's number beside what was meant, where the task knows it."""
    return f"score {score:.3f}" + ("" if gold_score is None else f", gold score {gold_score:.3f}")


def play_randomly(env: gym.Env, seed: int) -> tuple[float, float]:
    """Play one episode of random tokens, step by step.

    Returns:
        The sum of the rewards, and what it is made of: `kl_coef * sum of log pi_ref + score`.
    """
    _, info = env.reset(seed=seed)
    env.action_space.seed(seed)
    print(info["prompt"])
    total, log_prob, ended = 0.0, 0.0, False
    while not ended:
        action = env.action_space.sample()
        _, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        total, log_prob = total + reward, log_prob + info["ref_log_prob"]
        token = env.unwrapped.tokenizer.decode([int(action)], skip_special_tokens=False)
        print(f"{token!r:20} log pi_ref {info['ref_log_prob']:8.3f}   reward {reward:8.3f}")
    parts = env.unwrapped.kl_coef * log_prob + info["score"]
    print(f"end by {info['finish_reason']!r}: {scores(info['score'], info.get('gold_score'))}")
    print(f"sum of rewards {total:.3f} = kl_coef * sum of log pi_ref + score = {parts:.3f}\n")
    return total, parts


def main(argv: list[str] | None = None) -> tuple[float, float]:
    """Play random tokens, then let the reference model answer; return the two sums."""
    parser = argparse.ArgumentParser(description="Play by hand, one token at a time.")
    parser.add_argument("--env-id", default="RLHF-Summarize-v0")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    env = gym.make(args.env_id, split="validation")
    sums = play_randomly(env, args.seed)

    # An agent that has learned nothing yet is a copy of the reference model.
    agent = PPO("TransformerPolicy", env, seed=args.seed)
    for episode in textgym.rollout(env, agent, 3, seed=args.seed):
        print(f"{episode.prompt.text}{episode.response}")
        print(scores(episode.score, episode.gold_score) + "\n")
    return sums


if __name__ == "__main__":
    main()
