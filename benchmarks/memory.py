"""Memory: bytes of rollout buffer per transition, and one PPO iteration against its estimate.

Each case runs in a process of its own, so that one peak cannot hide another. The measured peak is
the process's largest resident memory above what it had after a first iteration of almost nothing,
which has loaded every library; on a GPU, what PyTorch had allocated at most. The estimate is the
one that `textgym train` prints before it starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from benchmarks.report import parse_arguments, print_table, write_json
from textgym.agents.rollouts.rollout_buffer import SequenceRolloutBuffer

PROMPT_TOKENS, RESPONSE_TOKENS = 64, 48
BUFFER_ROWS, BUFFER_STEPS = 64, 96
VOCABULARY = 50_257
MIB = 1024**2
BUNDLED, SMALL, LARGE = (
    None,
    "scratch:gpt2,layers=4,width=128",
    "scratch:layers=6,width=384,heads=6",
)


def case(
    model: str | None,
    n_envs: int,
    response: int,
    *,
    gradient_checkpointing: bool = False,
    group_size: int = 1,
) -> dict[str, Any]:
    """Return one case; a rollout has twice the longest response of steps."""
    return {
        "model": model,
        "n_envs": n_envs,
        "response": response,
        "n_steps": 2 * response,
        "gradient_checkpointing": gradient_checkpointing,
        "group_size": group_size,
    }


QUICK = (case(BUNDLED, 16, 48), case(LARGE, 8, 24))
CASES = (
    *QUICK,
    case(BUNDLED, 64, 48),
    case(BUNDLED, 64, 48, gradient_checkpointing=True),
    case(BUNDLED, 64, 48, group_size=4),
    case(BUNDLED, 64, 48, group_size=4, gradient_checkpointing=True),
    case(BUNDLED, 16, 128),
    case(SMALL, 16, 48),
    case(SMALL, 16, 96),
    case(LARGE, 16, 48),
)


def measured(one: dict[str, Any], device: str) -> dict[str, Any]:
    """Run one case in a process of its own; see `benchmarks.memory_case.measure`."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.memory_case",
        json.dumps({**one, "device": device}),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the case {one!r} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def buffer_bytes_per_transition() -> dict[str, float]:
    """Fill our buffer and SB3's with episodes of 64 + 48 tokens; return bytes per transition."""
    width = PROMPT_TOKENS + RESPONSE_TOKENS
    places = spaces.Box(0, VOCABULARY, (width,), np.int64), spaces.Discrete(VOCABULARY)
    ours = SequenceRolloutBuffer(BUFFER_STEPS, *places, "cpu", n_envs=BUFFER_ROWS)
    stock = RolloutBuffer(BUFFER_STEPS, *places, "cpu", n_envs=BUFFER_ROWS)
    zeros = np.zeros(BUFFER_ROWS, np.float32)
    obs = np.zeros((BUFFER_ROWS, width), np.int64)
    for step in range(BUFFER_STEPS):
        obs[:] = VOCABULARY
        obs[:, : PROMPT_TOKENS + step % RESPONSE_TOKENS] = 0
        is_end = np.full(BUFFER_ROWS, step % RESPONSE_TOKENS == RESPONSE_TOKENS - 1)
        prompt_lengths = np.full(BUFFER_ROWS, PROMPT_TOKENS)
        ours.add(
            *(obs, zeros, zeros, is_end, zeros, zeros), dones=is_end, prompt_lengths=prompt_lengths
        )
    ours.compute_returns_and_advantage(zeros, is_end)
    arrays = [value for value in vars(stock).values() if isinstance(value, np.ndarray)]
    total = BUFFER_ROWS * BUFFER_STEPS
    return {
        "ours": ours.nbytes / ours.n_transitions,
        "stable_baselines3": sum(array.nbytes for array in arrays) / total,
    }


def row(found: dict[str, Any]) -> tuple[Any, ...]:
    """Return one line of the table."""
    return (
        _name(found),
        f"{found['parameters'] / 1e6:.1f} M",
        found["n_envs"],
        found["response"],
        f"{found['estimate'] / MIB:,.0f}",
        f"{found['measured'] / MIB:,.0f}",
        f"{found['estimate'] / found['measured']:.2f}",
    )


def _name(found: dict[str, Any]) -> str:
    groups = f", groups of {found['group_size']}" * (found["group_size"] > 1)
    return (
        (found["model"] or "bundled") + groups + ", checkpointing" * found["gradient_checkpointing"]
    )


def main() -> None:
    """Measure, print the tables, write the JSON."""
    args = parse_arguments(__doc__ or "")
    buffer = buffer_bytes_per_transition()
    found = [measured(one, args.device) for one in (QUICK if args.quick else CASES)]
    quotients = [one["estimate"] / one["measured"] for one in found]
    ratios = {
        "buffer_bytes_per_transition": buffer["ours"],
        "lowest_estimate_over_peak": min(quotients),
        "highest_estimate_over_peak": max(quotients),
    }
    print_table(
        f"bytes of rollout buffer per transition, {PROMPT_TOKENS} + {RESPONSE_TOKENS} tokens",
        ("buffer", "bytes"),
        list(buffer.items()),
    )
    print_table(
        "one PPO iteration, MiB above the process's baseline",
        ("policy", "parameters", "rows", "longest response", "estimate", "peak", "ratio"),
        [row(one) for one in found],
    )
    print_table(
        "goals: at most 40 bytes; ratios within .7 to 1.3",
        ("figure", "value"),
        list(ratios.items()),
    )
    write_json(args.json, "memory", ratios, {"buffer": buffer, "cases": found})


if __name__ == "__main__":
    main()
