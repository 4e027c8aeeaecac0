"""The measurements of a benchmark: what is known of an environment, and one run on it."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import stable_baselines3
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env

from textgym.agents.benchmark.exact import Exact, exact_measure, known_objectives
from textgym.agents.benchmark.fingerprint import fingerprint_of
from textgym.agents.benchmark.plan import (
    OBJECTIVE,
    ROWS,
    TEXT_FAMILIES,
    BenchmarkConfig,
    BenchmarkFolder,
    Cell,
)
from textgym.agents.benchmark.results import COLUMNS
from textgym.agents.benchmark.rollouts import (
    known_rollouts,
    step_rollouts,
    text_envs,
    text_rollouts,
)
from textgym.agents.benchmark.tabular_regret import agent_regret
from textgym.agents.evaluation.policy_sources import ALGORITHMS, policy_from
from textgym.agents.runs.run_folder import RunFolder
from textgym.agents.storage.checkpoint import load_json, save_json
from textgym.cli.benchmark_control import train_control
from textgym.cli.logged_command import run_logged
from textgym.intervals import Estimate, mean_interval
from textgym.testing import Case, measure_gold
from textgym.testing.gold_order import episode_golds
from textgym.testing.learning import OnlyAllowed

# Steps of a run without a language model, where nothing else is said.
STOCK_STEPS = 50_000
STOCK_ENVS = 8
EVAL_SEED = 1_000_000
# Rollouts of 2,048 steps in all, as SB3's default is for one environment.
STOCK: dict[str, Any] = {
    "ppo": (stable_baselines3.PPO, {"n_steps": 2048 // STOCK_ENVS}),
    "a2c": (stable_baselines3.A2C, {}),
}

Measured = dict[str, Any]


def run_cell(config: BenchmarkConfig, folder: BenchmarkFolder, cell: Cell) -> str:
    """Measure a cell, write its file, with the environment's fingerprint, and return its name."""
    row, fingerprint = ROWS[cell.env_id], fingerprint_of(cell.env_id)
    if cell.algo == "known":
        found = measure_known(row.id, row.family, config.eval_prompts)
    elif row.family in TEXT_FAMILIES:
        found = train_language_model(config, folder, cell)
    elif row.family == "control":
        found = train_control(config, folder, cell)
    else:
        found = train_stock(config, cell)
    save_json(folder.result(cell), {**found, "fingerprint": fingerprint})
    return cell.name


def measure_known(env_id: str, family: str, num_episodes: int) -> Measured:
    """Play at random, by the reference and by the best known policy, on held-out prompts.

    The first human references of these prompts are judged beside them.
    """
    kwargs = {"split": "validation"} if family in TEXT_FAMILIES else {}
    found = measure_gold(Case(id=env_id, family=family, kwargs=kwargs), num_episodes)
    estimates = {name: getattr(found, name) for name in COLUMNS}
    estimates |= {name: _exactly(value) for name, value in known_objectives(env_id).items()}
    plain = {name: None if e is None else e.as_dict() for name, e in estimates.items()}
    rollouts = known_rollouts(env_id, family)
    return {"metric": metric_of(env_id, family), **plain, "rollouts": rollouts}


def _exactly(value: float) -> Estimate:
    return Estimate(mean=value, low=value, high=value, count=1)


def metric_of(env_id: str, family: str) -> str:
    """Return what is compared: "gold_score" where there is one, else "score", or the "return".

    `OBJECTIVE` where that is known exactly.
    """
    if known_objectives(env_id):
        return OBJECTIVE
    if family != "token":
        return "return" if family == "tabular" else "gold_score"
    env: Any = gym.make(env_id)
    return "score" if env.unwrapped.task.gold is None else "gold_score"


def train_command(config: BenchmarkConfig, cell: Cell) -> list[str]:
    """Return the arguments of `textgym train` for a run: a command that anybody can repeat."""
    command = [cell.env_id, "--algo", cell.algo, "--seed", str(cell.seed)]
    if config.steps is not None:
        command += ["--steps", str(config.steps)]
    return [*command, "--eval-prompts", str(config.eval_prompts)]


def train_language_model(config: BenchmarkConfig, folder: BenchmarkFolder, cell: Cell) -> Measured:
    """Train by `textgym train` in a folder of the cell's own, or go on with a run that stopped."""
    arguments, parent = train_command(config, cell), folder.runs(cell)
    started = [run for run in sorted(parent.glob("*")) if RunFolder(run).checkpoint_folders()]
    command = ["train", *arguments, "--output", str(parent)]
    if started and "--steps" in arguments:
        command = ["train", "--resume", str(started[-1]), "--steps", str(config.steps)]
    else:
        shutil.rmtree(parent, ignore_errors=True)
    parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    run_logged([*command, "--quiet"], parent.with_suffix(".log"))
    run = next(parent.glob("*/result.json")).parent
    result = load_json(run / "result.json")
    metrics, exact = result["after"]["metrics"], _exact(cell, run)
    trained = metrics.get("gold_score", metrics.get("score"))
    if exact is not None and exact["objective"] is not None:
        trained = _exactly(exact["objective"]).as_dict()
    return {
        "command": f"textgym train {' '.join(arguments)}",
        "steps": result["num_timesteps"],
        "minutes": result["minutes_of_training"],
        "minutes_in_all": (time.monotonic() - began) / 60,
        "trained": trained,
        "metrics": metrics,
        "exact": exact,
        "rollouts": _trained_rollouts(cell, run),
    }


def _exact(cell: Cell, run: Path) -> dict[str, Any] | None:
    """Return the exact measure of a run, as JSON values, None where a mean score says it all."""
    agent = ALGORITHMS[cell.algo].load(RunFolder(run).newest_agent(), device="cpu")
    found = exact_measure(cell.env_id, agent.policy)
    return None if found is None else _plain(found)


def _plain(found: Exact) -> dict[str, Any]:
    return {**asdict(found), "is_solved": found.is_solved}


def _trained_rollouts(cell: Cell, run: Path) -> list[dict[str, Any]]:
    if ROWS[cell.env_id].family == "tag":  # as the policies that are known are shown
        policy = policy_from(run, gym.make_vec(cell.env_id), seed=cell.seed, device="cpu")
        env = gym.make(cell.env_id, render_mode="ansi")
        return step_rollouts(env, lambda observation: int(policy.predict(observation[None])[0][0]))
    envs = text_envs(cell.env_id)
    return text_rollouts(envs, policy_from(run, envs, seed=cell.seed, device="cpu"))


def train_stock(config: BenchmarkConfig, cell: Cell) -> Measured:
    """Train Stable-Baselines3's own algorithm on an environment without tokens to write."""
    algorithm, settings = STOCK[cell.algo]
    envs = make_vec_env(lambda: _maskless(cell.env_id), n_envs=STOCK_ENVS, seed=cell.seed)
    is_dict = isinstance(envs.observation_space, spaces.Dict)
    policy = "MultiInputPolicy" if is_dict else "MlpPolicy"
    agent = algorithm(policy, envs, seed=cell.seed, device="cpu", **settings)
    began = time.monotonic()
    steps = config.steps or STOCK_STEPS
    agent.learn(steps)
    minutes = (time.monotonic() - began) / 60

    def act(observation: Any) -> Any:
        return agent.predict(observation)[0]

    golds = episode_golds(
        _maskless(cell.env_id), act, num_episodes=config.eval_prompts, seed=EVAL_SEED + cell.seed
    )
    exact = agent_regret(cell.env_id, agent)
    return {
        "command": stock_command(algorithm.__name__, policy, settings, cell, steps),
        "steps": agent.num_timesteps,
        "minutes": minutes,
        "trained": mean_interval(golds).as_dict(),
        "exact": None if exact is None else _plain(exact),
        "rollouts": step_rollouts(_maskless(cell.env_id, render_mode="ansi"), act),
    }


def stock_command(name: str, policy: str, settings: Measured, cell: Cell, steps: int) -> str:
    """Return the expression of Python that trains the same agent."""
    envs = f"make_vec_env({cell.env_id!r}, n_envs={STOCK_ENVS}, seed={cell.seed})"
    given = "".join(f", {key}={value!r}" for key, value in settings.items())
    call = f"stable_baselines3.{name}({policy!r}, {envs}, seed={cell.seed}, device='cpu'{given})"
    return f"{call}.learn({steps})"


def _maskless(env_id: str, **kwargs: Any) -> gym.Env:
    env = gym.make(env_id, **kwargs)
    return OnlyAllowed(env) if hasattr(env.unwrapped, "action_masks") else env
