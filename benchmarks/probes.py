"""PPO of this project on every probe, three seeds each: is each solved within its budget?

A probe is solved where the mean score of 512 sampled responses is at least 0.95; Probe-ValueOnly
where the values of all states are off by at most 0.05 (root of the mean square); Probe-ExactKL
where the exact regret is below 0.01. Every setting is the preset "probe"; on Probe-ExactKL the
weight of the KL term falls from 1 to the environment's own 0.1 during the first 60 % of training,
since a policy that is trained at 0.1 from the start settles on one of several good responses. On
Probe-Parity the model has two layers and there is an entropy bonus: no token tells anything by
itself, and with one layer and no bonus the policy settled on one answer. Probe-IncreasingNumbers
has a bonus too, and lambda 1: without them one seed of three settled on steps that are too large.

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
from stable_baselines3.common.callbacks import BaseCallback

import textgym
from benchmarks.report import parse_arguments, print_markdown, write_json
from textgym.agents import PPO, LearningRate
from textgym.envs_registry.exact_kl import VOCAB_SIZE
from textgym.envs_registry.exact_kl_solution import exact_solution, regret

N_ENVS = 64
NUM_RESPONSES = 512
TOKENS = {
    "Probe-Constant-v0": 8_192,
    "Probe-Copy-v0": 24_576,
    "Probe-Parity-v0": 16_384,
    "Probe-DelayedCredit-v0": 24_576,
    "Probe-IncreasingNumbers-v0": 49_152,
    "Probe-ValueOnly-v0": 8_192,
    "Probe-ExactKL-v0": 49_152,
}
SCORE, VALUE_ERROR, REGRET = "score", "value error", "regret"
SOLVED_FROM = {SCORE: 0.95}
SOLVED_TO = {VALUE_ERROR: 0.05, REGRET: 0.01}


SLOWER = LearningRate(peak=2e-3, final_fraction=0.02)
CHANGES: dict[str, dict[str, Any]] = {
    "Probe-ExactKL-v0": {"learning_rate": SLOWER, "gae_lambda": 1.0, "kl_coef": 1.0},
    "Probe-IncreasingNumbers-v0": {"ent_coef": 0.03, "gae_lambda": 1.0},
    "Probe-Parity-v0": {
        "ent_coef": 0.05,
        "n_steps": 8,
        "policy_kwargs": {"model": "scratch:layers=2,width=64,heads=2"},
    },
}


class Cooling(BaseCallback):
    """Lowers the environment's `kl_coef` from rollout to rollout, from 1 to 0.1."""

    def __init__(self, tokens: int) -> None:
        """Take the length of training."""
        super().__init__()
        self.tokens = tokens

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        kl_coef = max(0.1, 1.0 - 1.5 * self.num_timesteps / self.tokens)
        self.training_env.env_method("set_kl_coef", kl_coef)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One probe, trained once.

    Attributes:
        env_id: The probe.
        seed: Of weights, prompts and sampling.
        measure: What `found` is: the mean score, the value error or the regret.
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
        if self.measure in SOLVED_FROM:
            return self.found >= SOLVED_FROM[self.measure]
        return self.found <= SOLVED_TO[self.measure]


def run_once(env_id: str, seed: int, tokens: int, n_envs: int = N_ENVS) -> Run:
    """Train on a probe and measure."""
    envs = gym.make_vec(env_id, num_envs=n_envs)
    changes = CHANGES.get(env_id, {})
    started = time.process_time()
    agent = PPO("TransformerPolicy", envs, preset="probe", seed=seed, device="cpu", **changes)
    agent.learn(tokens, callback=Cooling(tokens) if "kl_coef" in changes else None)
    seconds = time.process_time() - started
    measure, found = measured(env_id, envs, agent, seed)
    return Run(env_id=env_id, seed=seed, measure=measure, found=found, seconds=seconds)


def measured(env_id: str, envs: Any, agent: PPO, seed: int) -> tuple[str, float]:
    """Return what decides whether the probe is solved, and its name."""
    if env_id == "Probe-ExactKL-v0":
        return REGRET, regret(envs, exact_policy(envs, agent))
    if env_id == "Probe-ValueOnly-v0":
        return VALUE_ERROR, value_error(envs, agent)
    episodes = textgym.rollout(envs, agent, NUM_RESPONSES, seed=1_000 + seed)
    return SCORE, float(np.mean([episode.score for episode in episodes]))


def value_error(envs: Any, agent: PPO) -> float:
    """Return how far the critic is from V* over all states, root of the mean square."""
    solution = envs.unwrapped.solution
    observations = solution.observations()
    with torch.no_grad():
        values = agent.policy.predict_values(torch.as_tensor(observations)).flatten()
    return float(np.sqrt(np.mean((values.numpy() - solution.values(observations)) ** 2)))


def exact_policy(envs: Any, agent: PPO) -> dict[tuple[int, ...], np.ndarray]:
    """Return the agent's probabilities in every state of Probe-ExactKL-v0."""
    states = list(exact_solution(envs).policy)
    observations = np.full((len(states), envs.single_observation_space.shape[0]), VOCAB_SIZE)
    for row, state in zip(observations, states, strict=True):
        row[: len(state) + 1] = (0, *state)
    with torch.no_grad():
        chances = agent.policy.get_distribution(torch.as_tensor(observations)).distribution.probs
    return dict(zip(states, chances.double().numpy(), strict=True))


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
