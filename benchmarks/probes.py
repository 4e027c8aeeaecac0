"""PPO of this project on every probe, three seeds each: is each solved within its budget?

A probe is solved where the mean score of 512 sampled responses is at least 0.95; Probe-ValueOnly
where the values of all states are off by at most 0.05 (root of the mean square); Probe-ExactKL
where the exact relative regret is at most 0.01. Presets and budgets are those of `textgym train`
(agents/run_defaults.py, agents/presets.py).

  python -m benchmarks.probes
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import textgym
from benchmarks.report import parse_arguments, print_markdown, write_json
from textgym.agents import PPO
from textgym.agents.benchmark.exact import Exact, exact_measure
from textgym.agents.run_defaults import default_preset, default_steps
from textgym.suites import PROBES

N_ENVS = 64
NUM_RESPONSES = 512
TOKENS = {env_id: default_steps(env_id) for env_id in PROBES}
SCORE = "score"
SOLVED_FROM = 0.95


@dataclass(frozen=True, kw_only=True)
class Run:
    """One probe, trained once.

    Attributes:
        env_id: The probe.
        seed: Of weights, prompts and sampling.
        measure: What `found` is: the mean score, the value error or the
            relative regret.
        found: The number.
        seconds: Of training, this process's own time.
    """

    env_id: str
    seed: int
    measure: str
    found: float
    seconds: float

    @property
    def is_solved(self) -> bool:
        """Whether the number is on the right side of its threshold."""
        if self.measure == SCORE:
            return self.found >= SOLVED_FROM
        return Exact(measure=self.measure, found=self.found).is_solved


def run_once(env_id: str, seed: int, tokens: int, n_envs: int = N_ENVS) -> Run:
    """Train on a probe and measure."""
    envs = gym.make_vec(env_id, num_envs=n_envs)
    preset = default_preset(env_id)
    started = time.process_time()
    agent = PPO("TransformerPolicy", envs, preset=preset, seed=seed, device="cpu")
    agent.learn(tokens)
    seconds = time.process_time() - started
    measure, found = measured(env_id, envs, agent, seed)
    return Run(env_id=env_id, seed=seed, measure=measure, found=found, seconds=seconds)


def measured(env_id: str, envs: Any, agent: PPO, seed: int) -> tuple[str, float]:
    """Return what decides whether the probe is solved, and its name."""
    exact = exact_measure(env_id, agent.policy)
    if exact is not None:
        return exact.measure, exact.found
    episodes = textgym.rollout(envs, agent, NUM_RESPONSES, seed=1_000 + seed)
    return SCORE, float(np.mean([episode.score for episode in episodes]))


def table_of(runs: Sequence[Run], tokens: dict[str, int]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the printed table, a row per probe."""
    head = ["probe", "tokens", "random", "with the fault", "best", "what", "by seed", "solved"]
    rows = []
    for env_id in dict.fromkeys(run.env_id for run in runs):
        of_probe = [run for run in runs if run.env_id == env_id]
        found = ", ".join(f"{run.found:.3f}" for run in of_probe)
        solved = f"{sum(run.is_solved for run in of_probe)} of {len(of_probe)}"
        known = [f"{value:.3f}" for value in _known(env_id)] or ["", "", ""]
        what = of_probe[0].measure
        rows.append([env_id, f"{tokens[env_id]:,}", *known, what, found, solved])
    return head, rows


def main(argv: Sequence[str] | None = None) -> list[Run]:
    """Train, print the table, and return the runs."""
    args = parse_arguments(__doc__ or "", argv, _add_arguments, repeats=None)
    torch.set_num_threads(1)
    seeds = range(1 if args.quick else args.seeds)
    tokens = {env_id: args.tokens or TOKENS[env_id] for env_id in args.env or TOKENS}
    runs = []
    for env_id in tokens:
        for seed in seeds:
            runs.append(run_once(env_id, seed, tokens[env_id]))
            last = runs[-1]
            print(f"{env_id} seed {seed}: {last.found:.4f} ({last.seconds:.0f} s)", flush=True)
    print_markdown(*table_of(runs, tokens))
    write_json(args.json, "probes", {}, [asdict(run) for run in runs])
    return runs


def _known(env_id: str) -> list[float]:
    if env_id == "Probe-ExactKL-v0":
        return []
    solution: Any = gym.make(env_id).unwrapped.get_wrapper_attr("solution")
    return [solution.random_return, solution.faulty_return, solution.best_return]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--env", action="append", choices=TOKENS, help="only this one; repeat")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each (default: 3)")
    parser.add_argument("--tokens", type=int, help="budget of each instead of its own")


if __name__ == "__main__":
    main()
