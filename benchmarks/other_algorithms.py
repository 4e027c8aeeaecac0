"""Unmodified algorithms of Stable-Baselines3 and sb3-contrib on three probes: who solves what.

Each is trained on one-hot observations, by its own library's code and defaults but for the settings
of the table below, and then plays 200 episodes with its best actions. A probe is solved from a mean
score of 0.95.

  pip install 'textgym[algorithms]'
  python -m benchmarks.other_algorithms
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym
import sb3_contrib
import stable_baselines3
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import textgym  # noqa: F401  (registers the environments)
from benchmarks.report import parse_arguments, print_markdown, write_json
from textgym.wrappers import OneHotObservation

SOLVED = 0.95
NUM_EPISODES = 200
STEPS = {"Probe-Constant-v0": 6_000, "Probe-Parity-v0": 12_000, "Probe-Copy-v0": 24_000}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How one algorithm is run.

    Attributes:
        n_envs: Environments played side by side.
        kwargs: What differs from the library's defaults.
        policy: Its policy's name.
        more_steps: Times the steps of the table; off-policy algorithms need fewer, others more.
    """

    n_envs: int
    kwargs: Mapping[str, Any]
    policy: str = "MlpPolicy"
    more_steps: Mapping[str, float] = field(default_factory=dict)


_PPO = {"n_steps": 64, "batch_size": 128, "learning_rate": 3e-3, "gamma": 1.0, "ent_coef": 0.01}
_Q_LEARNING = {
    "learning_rate": 2e-3,
    "gamma": 0.95,
    "buffer_size": 20_000,
    "learning_starts": 500,
    "batch_size": 64,
    "target_update_interval": 500,
    "exploration_fraction": 0.5,
}
SETTINGS: dict[str, Setting] = {
    "PPO": Setting(n_envs=8, kwargs=_PPO, more_steps={"Probe-Parity-v0": 2}),
    "A2C": Setting(
        n_envs=16,
        kwargs={"n_steps": 8, "learning_rate": 2e-3, "gamma": 1.0, "ent_coef": 0.02},
        more_steps={"Probe-Parity-v0": 4, "Probe-Copy-v0": 4},
    ),
    "DQN": Setting(n_envs=4, kwargs=_Q_LEARNING),
    "MaskablePPO": Setting(n_envs=8, kwargs=_PPO, more_steps={"Probe-Parity-v0": 2}),
    "RecurrentPPO": Setting(
        n_envs=8,
        policy="MlpLstmPolicy",
        kwargs={**_PPO, "n_epochs": 6, "policy_kwargs": {"lstm_hidden_size": 32}},
        more_steps={"Probe-Parity-v0": 2},
    ),
    "TRPO": Setting(
        n_envs=8, kwargs={"n_steps": 64, "batch_size": 128, "gamma": 1.0, "target_kl": 0.03}
    ),
    "QRDQN": Setting(n_envs=4, kwargs={**_Q_LEARNING, "policy_kwargs": {"n_quantiles": 20}}),
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One algorithm, trained once on one probe; `seconds` are of this process."""

    algorithm: str
    env_id: str
    steps: int
    score: float
    seconds: float


def make_env(env_id: str) -> gym.Env:
    """Make a probe with one-hot observations."""
    return OneHotObservation(gym.make(env_id, disable_env_checker=True))


def make_agent(name: str, env_id: str, seed: int = 0) -> Any:
    """Make an algorithm by its class name, as its setting has it."""
    library = stable_baselines3 if hasattr(stable_baselines3, name) else sb3_contrib
    setting = SETTINGS[name]
    envs = make_vec_env(partial(make_env, env_id), n_envs=setting.n_envs, seed=seed)
    algorithm = getattr(library, name)
    return algorithm(setting.policy, envs, seed=seed, device="cpu", **setting.kwargs)


def steps_of(name: str, env_id: str) -> int:
    """Return how many steps an algorithm is given."""
    return int(STEPS[env_id] * SETTINGS[name].more_steps.get(env_id, 1))


def run_once(name: str, env_id: str, seed: int = 0, steps: int | None = None) -> Run:
    """Train, and return the mean score of its best actions."""
    steps = steps or steps_of(name, env_id)
    started = time.process_time()
    agent = make_agent(name, env_id, seed).learn(steps)
    seconds = time.process_time() - started
    envs = make_vec_env(partial(make_env, env_id), n_envs=8, seed=1_000 + seed)
    score = float(evaluate_policy(agent, envs, NUM_EPISODES, deterministic=True)[0])
    return Run(algorithm=name, env_id=env_id, steps=steps, score=score, seconds=seconds)


def main(argv: Sequence[str] | None = None) -> list[Run]:
    """Train all, print the table, and return the runs."""
    args = parse_arguments(__doc__ or "", argv, _add_arguments, repeats=None)
    torch.set_num_threads(1)
    runs = []
    for name in args.algo or SETTINGS:
        for env_id in args.env or STEPS:
            runs.append(run_once(name, env_id, args.seed, args.steps))
            print(f"{name} {env_id}: {runs[-1].score:.3f} ({runs[-1].seconds:.0f} s)", flush=True)
    print_markdown(*table_of(runs))
    write_json(args.json, "other_algorithms", {}, [asdict(run) for run in runs])
    return runs


def table_of(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Return the head and a row per algorithm: score and steps on each probe."""
    env_ids = list(dict.fromkeys(run.env_id for run in runs))
    rows = []
    for name in dict.fromkeys(run.algorithm for run in runs):
        found = {run.env_id: run for run in runs if run.algorithm == name}
        cells = [f"{found[e].score:.3f} ({found[e].steps:,})" for e in env_ids]
        rows.append([name, *cells])
    return ["algorithm", *env_ids], rows


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--algo", action="append", choices=SETTINGS, help="only this one; repeat")
    parser.add_argument("--env", action="append", choices=STEPS, help="only this one; repeat")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="steps of each instead of its own")


if __name__ == "__main__":
    main()
