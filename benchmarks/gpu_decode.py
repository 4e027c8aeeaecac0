"""One token for many rows on an accelerator, in bfloat16, beside `generate()`.

The literal loop (environment stepped token by token, with sampling, log-probs and values) with
replayed and with plain steps, over transformers' `generate()` as it is and with a static cache,
which transformers compiles on CUDA. Beside it the step alone by kind, as a share of what the
memory's bandwidth allows (weights and the rows' keys and values read once per step), and the
milliseconds of environment and buffer per vector step.

GPT-2 124M at random weights; on a CPU with `--quick` a toy, to see that it runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import textgym.agents
from benchmarks.conventional import generate, generation_config
from benchmarks.report import median_ratio, paired_rates, parse_arguments, print_table, write_json
from benchmarks.rollout_models import ENV_ID, SUBJECTS, Subject, model_arguments
from textgym.models.loading import load_causal_lm, resolve_device
from textgym.models.slot_decoder import SlotDecoder

ROWS = (64, 128, 256)
TOY = Subject(
    name="toy",
    config={"model_type": "gpt2", "vocab_size": 1536, "n_layer": 2, "n_embd": 64, "n_head": 4},
)
LOOP, EAGER_LOOP = "literal loop", "literal loop, eager steps"
GENERATE, STATIC = "generate()", "generate(), static cache, compiled"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured where.

    Attributes:
        device: Where the models run.
        rows: Numbers of rows, one table each.
        env_kwargs: Of the environment, its models among them.
        kinds: Steps that the device can run, see `SlotDecoder`.
        repeats: Measured rounds.
        num_steps: Steps of the loop and tokens of a response in one round.
    """

    device: torch.device
    rows: tuple[int, ...]
    env_kwargs: dict[str, Any]
    kinds: tuple[str, ...]
    repeats: int
    num_steps: int


class BfloatLoop:
    """The literal loop with a policy whose weights are bfloat16."""

    def __init__(self, plan: Plan, num_rows: int, decode: str) -> None:
        """Make the environment and the agent, and start."""
        self.envs: Any = gym.make_vec(ENV_ID, num_envs=num_rows, **plan.env_kwargs)
        self.env: Any = self.envs.unwrapped
        kwargs = {"dtype": "bfloat16-weights", "decode": decode, "value": "shared"}
        self.agent: Any = textgym.agents.PPO(
            "TransformerPolicy",
            self.envs,
            n_steps=plan.num_steps,
            device=plan.device,
            seed=0,
            policy_kwargs=kwargs,
        )
        self.policy = self.agent.policy
        self.policy.set_training_mode(False)
        self.env.set_reward_timing("deferred")
        self.state = self.policy.new_state(num_rows)
        self.obs, _ = self.envs.reset(seed=0)
        self.num_rows = num_rows

    def play(self, num_steps: int) -> int:
        """Play without being paid; returns the tokens made: every action is a real one."""
        for _ in range(num_steps):
            actions, _, _ = self.policy(self.obs, self.state)
            chosen = self.policy.fetch_actions(actions, self.state)
            self.obs, _, _, _, _ = self.envs.step(chosen)
        self._discard_rewards()
        return num_steps * self.num_rows

    def _discard_rewards(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it says that they are not paid
            self.env.set_reward_timing("step")
        self.env.set_reward_timing("deferred")

    def host_milliseconds(self, num_steps: int) -> dict[str, float]:
        """Return the time of environment and buffer per vector step, in milliseconds."""
        buffer, seconds = self.agent.rollout_buffer, {"environment": [], "buffer": []}
        buffer.reset()
        starts, zeros = np.zeros(self.num_rows, bool), np.zeros(self.num_rows, np.float32)
        for _ in range(num_steps):
            acted_on, lengths = self.obs, self.env.prompt_lengths.copy()
            actions, _, _ = self.policy(acted_on, self.state)
            chosen = self.policy.fetch_actions(actions, self.state)
            started = time.perf_counter()
            self.obs, rewards, ended, cut, _ = self.envs.step(chosen)
            stepped = time.perf_counter()
            dones = ended | cut
            buffer.add(
                acted_on,
                chosen,
                rewards,
                starts,
                zeros,
                zeros,
                dones=dones,
                prompt_lengths=lengths,
            )
            seconds["buffer"].append(time.perf_counter() - stepped)
            seconds["environment"].append(stepped - started)
        self._discard_rewards()
        both = [sum(pair) for pair in zip(*seconds.values(), strict=True)]
        found = {f"{name}_median": 1e3 * median(values) for name, values in seconds.items()}
        return {**found, "both_median": 1e3 * median(both), "both_mean": 1e3 * mean(both)}


class Generation:
    """Batches of the same prompts through `generate()` with the same weights in bfloat16."""

    def __init__(self, loop: BfloatLoop, plan: Plan) -> None:
        """Encode the prompts; all batches are as wide, so that a static cache keeps its shape."""
        env = loop.env
        self.model = load_causal_lm(
            env.config.reference_model, device=plan.device, dtype="bfloat16"
        )
        generator = np.random.default_rng(0)
        indices = generator.integers(0, len(env.task.prompts), loop.num_rows)
        texts = [env.task.prompts[int(i)].text for i in indices]
        self.prompts = [env.tokenizer.encode(text)[-env.max_prompt_tokens :] for text in texts]
        self.dynamic = generation_config(env.eos_ids, plan.num_steps)
        self.static = generation_config(env.eos_ids, plan.num_steps, cache_implementation="static")

    def sample(self, is_static: bool) -> int:
        """Return the tokens of one batch."""
        config = self.static if is_static else self.dynamic
        return generate(self.model, self.prompts, config).num_tokens


def step_seconds(plan: Plan, num_rows: int, kind: str, prompt: int, num_steps: int) -> float:
    """Return the median seconds of one step of all rows by `SlotDecoder`, host work included."""
    model = load_causal_lm(plan.env_kwargs["reference_model"], device=plan.device, dtype="bfloat16")
    decoder = SlotDecoder(model, num_rows, prompt + 2 * num_steps, step=kind)
    ids = np.random.default_rng(0).integers(4, 1000, (num_rows, prompt + 2 * num_steps))
    lengths = np.full(num_rows, prompt)
    decoder.advance(ids, lengths)
    seconds = []
    for step in range(2 * num_steps):
        synchronise(plan.device)
        started = time.perf_counter()
        decoder.advance(ids, lengths + step + 1)
        synchronise(plan.device)
        seconds.append(time.perf_counter() - started)
    return median(seconds[num_steps:])


def floor_seconds(plan: Plan, num_rows: int, mean_length: float, bandwidth: float) -> float:
    """Return the seconds in which weights and real keys and values can be read once."""
    model = load_causal_lm(plan.env_kwargs["reference_model"], device=plan.device, dtype="bfloat16")
    config = model.config
    weights = sum(p.numel() for p in model.parameters()) * 2
    cache = num_rows * mean_length * 2 * config.num_hidden_layers * config.hidden_size * 2
    return (weights + cache) / bandwidth


def measured_bandwidth(device: torch.device, num_bytes: int) -> float:
    """Return bytes per second that a plain copy reads and writes."""
    source = torch.ones(num_bytes // 4, device=device)
    target = torch.empty_like(source)
    rates = []
    for _ in range(20):
        synchronise(device)
        started = time.perf_counter()
        target.copy_(source)
        synchronise(device)
        rates.append(2 * num_bytes / (time.perf_counter() - started))
    return median(rates)


def synchronise(device: torch.device) -> None:
    """Wait for what a CUDA device has to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_rows(plan: Plan, num_rows: int, bandwidth: float) -> dict[str, Any]:
    """Measure everything at one number of rows; see the tables."""
    loop = BfloatLoop(plan, num_rows, "auto")
    eager = BfloatLoop(plan, num_rows, "eager")
    generation = Generation(loop, plan)
    contenders: dict[str, Callable[[], int]] = {
        LOOP: lambda: loop.play(plan.num_steps),
        EAGER_LOOP: lambda: eager.play(plan.num_steps),
        GENERATE: lambda: generation.sample(is_static=False),
        STATIC: lambda: generation.sample(is_static=True),
    }
    rates = paired_rates(contenders, plan.repeats)
    half = max(4, plan.num_steps // 2)
    prompt = loop.env.max_prompt_tokens
    steps = {kind: step_seconds(plan, num_rows, kind, prompt, half) for kind in plan.kinds}
    floor = floor_seconds(plan, num_rows, prompt + 1.5 * half, bandwidth)
    return {
        "tokens_per_second": rates,
        "step_milliseconds": {kind: 1e3 * seconds for kind, seconds in steps.items()},
        "floor_milliseconds": 1e3 * floor,
        "share_of_floor": {kind: floor / seconds for kind, seconds in steps.items()},
        "host_milliseconds": loop.host_milliseconds(plan.num_steps),
    }


def ratios_of(found: dict[str, Any], num_rows: int) -> dict[str, float]:
    """Return the figures that have goals, by name."""
    rates = found["tokens_per_second"]
    return {
        f"gpu_loop_over_generate_{num_rows}": median_ratio(rates, LOOP, GENERATE),
        f"gpu_loop_over_static_generate_{num_rows}": median_ratio(rates, LOOP, STATIC),
        f"gpu_environment_and_buffer_ms_{num_rows}": found["host_milliseconds"]["both_mean"],
        f"gpu_share_of_bandwidth_floor_{num_rows}": max(found["share_of_floor"].values()),
    }


def print_rows(found: dict[str, Any], num_rows: int) -> None:
    """Print the tables of one number of rows."""
    rates = found["tokens_per_second"]
    print_table(
        f"{num_rows} rows, bfloat16: tokens per second",
        ("contender", "median", "slowest", "fastest"),
        [(name, median(each), min(each), max(each)) for name, each in rates.items()],
    )
    shares, steps = found["share_of_floor"], found["step_milliseconds"]
    print_table(
        f"{num_rows} rows: one step of the decoder (floor {found['floor_milliseconds']:.3g} ms)",
        ("kind", "milliseconds", "share of the bandwidth floor"),
        [(kind, steps[kind], shares[kind]) for kind in steps],
    )
    host = found["host_milliseconds"]
    print_table(f"{num_rows} rows: host work per step, ms", ("what", "ms"), list(host.items()))


def make_plan(args: argparse.Namespace, folder: Path) -> Plan:
    """Write the models and say what is measured."""
    device = resolve_device(args.device)
    is_cuda = device.type == "cuda"
    is_toy = args.quick and not is_cuda
    paths = model_arguments(TOY if is_toy else SUBJECTS["gpt2"], folder)
    rows = args.rows or ((4,) if is_toy else (64,) if args.quick else ROWS)
    num_steps = 8 if is_toy else 48
    kwargs = {"device": str(device), "dtype": "bfloat16", "max_new_tokens": num_steps}
    return Plan(
        device=device,
        rows=tuple(rows),
        env_kwargs={**paths, **kwargs},
        kinds=("eager", "static", "graph", "compile") if is_cuda else ("eager", "static"),
        repeats=args.repeats,
        num_steps=num_steps,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--rows", type=int, nargs="+", help=f"numbers of rows (default: {ROWS})")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON."""
    args = parse_arguments(__doc__ or "", argv, add_arguments)
    ratios: dict[str, float] = {}
    details: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(args, Path(folder))
        bandwidth = measured_bandwidth(plan.device, 1 << (30 if plan.device.type == "cuda" else 25))
        details["bytes_per_second"] = bandwidth
        for num_rows in plan.rows:
            found = measure_rows(plan, num_rows, bandwidth)
            print_rows(found, num_rows)
            ratios.update(ratios_of(found, num_rows))
            details[str(num_rows)] = found
    goals = "goals: over generate() 5, over static generate() 1, environment and buffer below 1 ms"
    print_table(
        f"figures, medians over rounds ({goals})", ("figure", "value"), list(ratios.items())
    )
    write_json(args.json, "gpu_decode", ratios, details)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
