"""How cost grows: decoding with longer responses, more rows, larger vocabularies; memory too.

Small Llamas with random weights. Decoding is timed without its prefill, sampling, log-probs and
values included. Memory is what evaluating and differentiating a minibatch holds at once, counted
tensor by tensor: with a large vocabulary it must not grow with the number of micro-batches, as it
would if the logits of all states, (B, T, V), were kept.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from benchmarks.live_bytes import LiveBytes
from benchmarks.report import CLOCKS, parse_arguments, print_table, write_json
from textgym.agents.policies import TransformerPolicy

MODEL = "scratch:llama,layers=4,width=128,heads=4"
PROMPT_TOKENS = 64
# Response, rows, vocabulary: one of the three grows at a time.
LENGTHS = [(response, 64, 1024) for response in (32, 64, 128, 256)]
ROWS = [(32, rows, 1024) for rows in (8, 32, 128, 256)]
VOCABULARIES = [(32, 32, vocabulary) for vocabulary in (1024, 8192, 50_257)]
QUICK = [(32, 32, 1024), (256, 32, 1024), (32, 8, 1024), (32, 32, 50_257)]
MICRO_BATCHES = (2, 8, 32)
Point = tuple[int, int, int]


def make_policy(width: int, vocabulary: int, device: str, **kwargs: Any) -> TransformerPolicy:
    """Make a policy over observations of `width` tokens."""
    arguments: dict[str, Any] = {"model": MODEL, "seed": 0, **kwargs}
    observations = spaces.Box(0, vocabulary, (width,), np.int64)
    actions = spaces.Discrete(vocabulary)
    policy = TransformerPolicy(observations, actions, lambda _: 1e-4, **arguments)
    return policy.to(torch.device(device))


class Decoding:
    """N rows that write T tokens each and never end."""

    def __init__(self, point: Point, device: str) -> None:
        """Make the policy, its caches and the prompts of one point."""
        self.response, self.rows, self.vocabulary = point
        self.width = PROMPT_TOKENS + self.response
        self.policy = make_policy(self.width, self.vocabulary, device)
        self.policy.set_training_mode(False)
        self.state = self.policy.new_state(self.rows)

    def seconds(self, clock: Callable[[], float]) -> float:
        """Return the seconds of T - 1 steps after the prefill."""
        obs = np.full((self.rows, self.width), self.vocabulary)
        obs[:, :PROMPT_TOKENS] = np.random.default_rng().integers(
            0, self.vocabulary, (self.rows, PROMPT_TOKENS)
        )
        obs[:, PROMPT_TOKENS] = self._act(obs)
        start = clock()
        for cell in range(PROMPT_TOKENS + 1, self.width):
            obs[:, cell] = self._act(obs)
        return clock() - start

    def _act(self, obs: np.ndarray) -> np.ndarray:
        actions, _, _ = self.policy(obs, self.state)
        return self.policy.fetch_actions(actions, self.state)

    def microseconds_per_token(self, clock: Callable[[], float]) -> float:
        """Return the cost of one token of one row."""
        return 1e6 * self.seconds(clock) / (self.rows * (self.response - 1))


def decode_costs(
    points: list[Point], repeats: int, clock: Callable[[], float], device: str
) -> dict[Point, float]:
    """Return the median microseconds per token of each point; points take turns."""
    loops = {point: Decoding(point, device) for point in points}
    costs: dict[Point, list[float]] = {point: [] for point in points}
    for round_index in range(repeats + 1):
        for point, loop in loops.items():
            cost = loop.microseconds_per_token(clock)
            if round_index:
                costs[point].append(cost)
    return {point: median(found) for point, found in costs.items()}


def update_bytes(
    num_micro_batches: int, vocabulary: int, device: str, *, entropy: str = "gradient"
) -> dict[str, int]:
    """Evaluate and differentiate a minibatch, counting live bytes.

    Each micro-batch is one segment, of 16 prompt and 16 response tokens, and one chunk of logits.
    The model is so small that next to its logits its own activations are nothing.

    Returns:
        "peak", the most that lived at once; "kept", what lived between forward and backward;
        "all_logits", the size of the (B, T, V) array that must not exist.
    """
    prompt = response = 16
    width = prompt + response
    policy = make_policy(
        width,
        vocabulary,
        device,
        entropy=entropy,
        micro_batch_tokens=width,
        model="scratch:llama,layers=1,width=16,heads=2",
    )
    is_action = torch.zeros((num_micro_batches, width), dtype=torch.bool, device=device)
    is_action[:, prompt:] = True
    # A prompt for each segment, so that none is read for several at once.
    ids = torch.arange(num_micro_batches, device=device)[:, None].repeat(1, width)
    lengths = torch.full((num_micro_batches,), prompt, device=device)
    actions = ids[is_action]
    with LiveBytes() as live:
        values, log_probs, entropies = policy.evaluate_actions(
            {"ids": ids, "is_action": is_action, "prompt_lengths": lengths}, actions
        )
        assert entropies is not None
        loss = values.sum() + log_probs.sum() + entropies.sum()
        kept = live.now
        loss.backward()
    return {"peak": live.peak, "kept": kept, "all_logits": 4 * len(actions) * vocabulary}


def main() -> None:
    """Measure, print the tables, write the JSON."""
    args = parse_arguments(__doc__ or "", repeats=(3, 2))
    points = QUICK if args.quick else [*LENGTHS, *ROWS, *VOCABULARIES]
    costs = decode_costs(list(dict.fromkeys(points)), args.repeats, CLOCKS[args.clock], args.device)
    memory = {
        count: update_bytes(count, VOCABULARIES[-1][2], args.device) for count in MICRO_BATCHES
    }
    rows = 32 if args.quick else 64
    ratios = {
        "decode_cost_t256_over_t32": costs[256, rows, 1024] / costs[32, rows, 1024],
        "peak_of_32_over_2_micro_batches": memory[32]["peak"] / memory[2]["peak"],
    }
    print_table(
        f"decoding after a prompt of {PROMPT_TOKENS} tokens, microseconds per token",
        ("response T", "rows N", "vocabulary V", "microseconds"),
        [(*point, cost) for point, cost in costs.items()],
    )
    print_table(
        f"update at V = {VOCABULARIES[-1][2]:,}, MiB alive at once",
        ("micro-batches", "peak", "kept before the backward pass", "all logits would be"),
        [(count, *(size / 2**20 for size in found.values())) for count, found in memory.items()],
    )
    print_table("goals: at most 1.5; memory flat", ("ratio", "value"), list(ratios.items()))
    details = {
        "microseconds_per_token": [[*point, cost] for point, cost in costs.items()],
        "update_bytes": memory,
    }
    write_json(args.json, "growth", ratios, details)


if __name__ == "__main__":
    main()
