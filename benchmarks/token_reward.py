"""A reward at every token: trained on a response's mean and paid as a sum, it pays for length.

Comparisons of the bundled reference's own responses train a reward model whose score is the mean
of its numbers at the response's tokens. A constant on top of all of them changes the order of no
means, so training leaves it free; a sum grows with it by the length. First the two readings of the
same numbers, with three constants, on held-out pairs; then PPO paid by the mean, token by token,
and by the sum, divided by the usual length so that both are of one size.

  python -m benchmarks.token_reward
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.report import parse_arguments, print_table, write_json
from textgym.agents import PPO
from textgym.agents.bundles.comparisons import Sampling, judged_comparisons, sample_episodes
from textgym.agents.bundles.teacher import FallibleTeacher
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.agents.supervised.reward_training import RewardTrainingConfig, train_reward_model
from textgym.cli.environment import load_quietly
from textgym.envs_registry.summarize import ENV_ID
from textgym.models.loading import load_causal_lm
from textgym.models.reward_model import SequenceScorer
from textgym.task import TextTask

OFFSETS = (-1.0, 0.0, 1.0)
RESPONSES_PER_PROMPT = 3
HELD_OUT_FROM = 100_000
ROLLOUT_STEPS = 48


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way to make a response's score of its tokens' rewards.

    Attributes:
        aggregate: "mean" or "sum".
        offset: Constant on top of every token's reward.
        accuracy: Share of the pairs that it orders as gold does.
        length_correlation: Of the scores with the number of tokens.
    """

    aggregate: str
    offset: float
    accuracy: float
    length_correlation: float


def readings(
    rewards: Sequence[np.ndarray], gold_margins: Sequence[float], offsets: Sequence[float] = OFFSETS
) -> list[Reading]:
    """Compare means and sums over tokens.

    Args:
        rewards: (T,) each, of the better responses of R pairs and then of the others.
        gold_margins: R differences of gold, of the first response minus the second.
        offsets: Constants that are added to every token's reward.
    """
    lengths = np.array([len(tokens) for tokens in rewards])
    half = len(gold_margins)
    found = []
    for aggregate in ("mean", "sum"):
        for offset in offsets:
            reduce = np.mean if aggregate == "mean" else np.sum
            scores = np.array([reduce(tokens + offset) for tokens in rewards])
            agrees = np.sign(scores[:half] - scores[half:]) == np.sign(gold_margins)
            found.append(
                Reading(
                    aggregate=aggregate,
                    offset=offset,
                    accuracy=float(agrees.mean()),
                    length_correlation=float(np.corrcoef(scores, lengths)[0, 1]),
                )
            )
    return found


def compared(task: TextTask, first: int, n_prompts: int) -> tuple[PreferencePair, ...]:
    """Let a teacher compare the reference's responses to some prompts."""
    config = task.config
    model = load_causal_lm(str(config.reference_model), device=config.device)
    numbers = range(first, first + n_prompts)
    prompts = [task.prompts[i] for i in numbers for _ in range(RESPONSES_PER_PROMPT)]
    sampling = Sampling(
        max_prompt_tokens=config.max_prompt_tokens, max_new_tokens=config.max_new_tokens, seed=first
    )
    episodes = sample_episodes(model, task.tokenizer, prompts, sampling)
    assert task.gold is not None
    return judged_comparisons(episodes, task.gold, FallibleTeacher(), seed=first).pairs


def token_rewards(model: Path, task: TextTask, pairs: Sequence[PreferencePair]) -> list[np.ndarray]:
    """Read the reward of every token, of the chosen responses and then of the rejected ones."""
    prompts = [task.tokenizer.encode(pair.prompt) for pair in pairs]
    ids = [[*p, *pair.chosen_ids] for p, pair in zip(prompts, pairs, strict=True)]
    ids += [[*p, *pair.rejected_ids] for p, pair in zip(prompts, pairs, strict=True)]
    scorer = SequenceScorer(model, task.config.device)
    return scorer.token_rewards(ids, [len(prompt) for prompt in prompts * 2])


class _Rollouts(BaseCallback):
    """Notes length and gold of every rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        found = self.logger.name_to_value
        names = ("response_tokens", "gold_score", "kl")
        values = {name: float(found[f"rollout/{name}"]) for name in names}
        self.rows.append({"tokens": float(self.num_timesteps), **values})


def paid_by(
    aggregate: str, weight: float, model: Path, args: argparse.Namespace
) -> list[dict[str, float]]:
    """Train PPO on token rewards; return a row for each rollout."""
    kwargs: dict[str, Any] = {
        "reward_model": str(model),
        "reward": f"{weight:.4f}*model",
        "reward_level": "token",
        "token_aggregate": aggregate,
        "device": args.device,
    }
    agent = PPO(
        "TransformerPolicy",
        ENV_ID,
        n_envs=args.num_envs,
        n_steps=ROLLOUT_STEPS,
        env_kwargs=kwargs,
        seed=args.seed,
        device=args.device,
    )
    notes = _Rollouts()
    agent.learn(args.steps, callback=notes)
    return notes.rows


def run(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print and return the figures."""
    args = parse_arguments(__doc__ or "", argv, _add_arguments, repeats=None)
    load_quietly()
    if args.quick:
        args.prompts, args.steps = min(args.prompts, 120), min(args.steps, 6144)
    task = gym.make(ENV_ID, reward="gold", device=args.device).unwrapped.task  # type: ignore[attr-defined]
    held_out = compared(task, HELD_OUT_FROM, max(8, args.prompts // 4))
    with tempfile.TemporaryDirectory() as folder:
        config = RewardTrainingConfig(
            model=str(task.config.reference_model),
            max_prompt_tokens=task.config.max_prompt_tokens,
            max_response_tokens=task.config.max_new_tokens,
            token_aggregate="mean",
            epochs=2,
            batch_tokens=2048,
            learning_rate=1e-3,
            device=args.device,
            seed=args.seed,
        )
        result = train_reward_model(
            config, compared(task, 0, args.prompts), held_out, output=folder
        )
        rewards = token_rewards(result.folder, task, held_out)
        found = readings(rewards, [pair.gold_margin or 0.0 for pair in held_out])
        usual = float(np.mean([len(tokens) for tokens in rewards]))
        runs = {
            aggregate: paid_by(aggregate, weight, result.folder, args)
            for aggregate, weight in (("mean", 1.0), ("sum", 1.0 / usual))
        }
    _print(result.n_train, len(held_out), found, runs)
    ratios = {
        f"length at the end over the beginning, paid by the {name}": rows[-1]["response_tokens"]
        / rows[0]["response_tokens"]
        for name, rows in runs.items()
    }
    details = [{"readings": [vars(reading) for reading in found], "runs": runs}]
    write_json(args.json, "token_reward", ratios, details)
    return {"ratios": ratios, "details": details}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompts", type=int, default=500, help="prompts to compare responses to")
    parser.add_argument("--steps", type=int, default=30_720, help="tokens written by each agent")
    parser.add_argument("--num-envs", type=int, default=64, help="rows of each agent")
    parser.add_argument("--seed", type=int, default=0, help="of training and agents")


def _print(
    n_train: int,
    n_held_out: int,
    found: Sequence[Reading],
    runs: dict[str, list[dict[str, float]]],
) -> None:
    print_table(
        f"trained on the mean with {n_train} comparisons, read on {n_held_out} held-out ones",
        ("score is the", "constant added", "agrees with gold", "correlation with length"),
        [
            (r.aggregate, f"{r.offset:+g}", f"{r.accuracy:.3f}", f"{r.length_correlation:+.2f}")
            for r in found
        ],
    )
    print_table(
        "PPO paid at every token",
        ("tokens written", *(f"{what}, {name}" for name in runs for what in ("length", "gold"))),
        [
            (
                f"{rows[0]['tokens']:.0f}",
                *(
                    cell
                    for row in rows
                    for cell in (f"{row['response_tokens']:.1f}", f"{row['gold_score']:.3f}")
                ),
            )
            for rows in zip(*runs.values(), strict=True)
        ],
    )


if __name__ == "__main__":
    run()
