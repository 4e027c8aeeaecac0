"""Rollout speed: the literal loop against `generate()`, rewards included and not.

(a) The vector environment stepped token by token, with sampling, log-probs and values, over
    transformers' `generate()` doing sampling alone.
(b) The same with rewards settled (reward model and reference) over the conventional rollout:
    `generate()`, then padded teacher-forced passes of policy, value, reference and reward model.

Only real tokens count: no padding, nothing after an end token. Contenders take turns within one
run; the ratio is the median over rounds.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import textgym.agents
from benchmarks.conventional import (
    generate,
    generation_config,
    teacher_forced,
    values_and_score,
)
from benchmarks.report import median_ratio, paired_rates, parse_arguments, print_table, write_json
from textgym.models.loading import load_causal_lm, load_sequence_classifier
from textgym.models.trunk import trunk_and_head

ENV_ID = "RLHF-Summarize-v0"
NUM_ENVS = 64


class LiteralLoop:
    """`reset`, then `policy` and `step` for ever; one policy, one vector environment."""

    def __init__(self, device: str, is_settled: bool) -> None:
        """Make the environment and an agent of it."""
        self.envs = gym.make_vec(ENV_ID, num_envs=NUM_ENVS, device=device)
        self.agent = textgym.agents.PPO("TransformerPolicy", self.envs, device=device, seed=0)
        self.policy = self.agent.policy
        self.policy.set_training_mode(False)
        self.is_settled = is_settled
        self.envs.unwrapped.set_reward_timing("deferred")
        self.state = self.policy.new_state(NUM_ENVS)
        self.obs, _ = self.envs.reset(seed=0)
        self.seconds: dict[str, float] = defaultdict(float)

    def run(self, num_steps: int) -> int:
        """Play, and settle where asked; returns the tokens made: every action is a real one."""
        clock = time.perf_counter
        for _ in range(num_steps):
            start = clock()
            actions, _, _ = self.policy(self.obs, self.state)
            actions = actions.cpu().numpy()
            acted = clock()
            self.obs, _, _, _, _ = self.envs.step(actions)
            self.seconds["policy"] += acted - start
            self.seconds["environment"] += clock() - acted
        start = clock()
        if self.is_settled:
            self.envs.unwrapped.settle_rewards()
            self.seconds["settle"] += clock() - start
        else:
            self.envs.unwrapped.set_reward_timing("step")
            self.envs.unwrapped.set_reward_timing("deferred")
        return num_steps * NUM_ENVS


class Conventional:
    """Batches of prompts through `generate()`, with or without the passes that follow."""

    def __init__(self, loop: LiteralLoop, device: str) -> None:
        """Take the same prompts, weights and limits as the loop's environment."""
        env: Any = loop.envs.unwrapped
        config = env.config
        self.model = load_causal_lm(config.reference_model, device=device, dtype="float32")
        scorer = load_sequence_classifier(config.reward_model, device=device, dtype="float32")
        self.value = (trunk_and_head(self.model)[0], loop.policy.value_head)
        self.scorer = (scorer.base_model, scorer.score)
        self.config = generation_config(env.eos_ids, env.max_new_tokens)
        self.batches = self._batches(env)

    def _batches(self, env: Any) -> Iterator[list[list[int]]]:
        generator = np.random.default_rng(0)
        while True:
            ids = generator.integers(0, len(env.task.prompts), NUM_ENVS)
            yield [env.tokenizer.encode(env.task.prompts[int(i)].text) for i in ids]

    def sample(self) -> int:
        """Return the tokens of one batch of `generate()`."""
        return generate(self.model, next(self.batches), self.config).num_tokens

    def rollout(self) -> int:
        """Return the tokens of one batch: `generate()`, then four padded passes."""
        batch = generate(self.model, next(self.batches), self.config)
        teacher_forced(self.model, batch)
        values_and_score(*self.value, batch)
        teacher_forced(self.model, batch)
        values_and_score(*self.scorer, batch)
        return batch.num_tokens


def repeated(work: Callable[[], int], times: int) -> Callable[[], int]:
    """Several batches as one timed piece of work."""
    return lambda: sum(work() for _ in range(times))


def main() -> None:
    """Measure, print the table and the breakdown, write the JSON."""
    args = parse_arguments(__doc__ or "")
    torch.manual_seed(0)
    steps, batches = (48, 2) if args.quick else (96, 4)
    loops = {settled: LiteralLoop(args.device, settled) for settled in (False, True)}
    conventional = Conventional(loops[False], args.device)
    rates = paired_rates(
        {
            "literal loop": lambda: loops[False].run(steps),
            "generate()": repeated(conventional.sample, batches),
            "literal loop, settled": lambda: loops[True].run(steps),
            "conventional rollout": repeated(conventional.rollout, batches),
        },
        args.repeats,
    )
    ratios = {
        "loop_over_generate": median_ratio(rates, "literal loop", "generate()"),
        "settled_over_conventional": median_ratio(
            rates, "literal loop, settled", "conventional rollout"
        ),
    }
    print_table(
        f"{ENV_ID}, {NUM_ENVS} rows, tokens per second",
        ("contender", "median", "slowest", "fastest"),
        [(n, float(np.median(r)), min(r), max(r)) for n, r in rates.items()],
    )
    print_table("ratios, median over rounds", ("ratio", "value"), list(ratios.items()))
    total = sum(loops[True].seconds.values())
    shares = {name: seconds / total for name, seconds in loops[True].seconds.items()}
    print_table("settled loop, share of time", ("phase", "share"), list(shares.items()))
    write_json(args.json, "rollout", ratios, {"tokens_per_second": rates, "shares": shares})


if __name__ == "__main__":
    main()
