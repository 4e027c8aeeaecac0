"""A benchmark's run on an environment that is paid by feedback alone: `textgym feedback-loop`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from textgym.agents.benchmark.plan import BenchmarkConfig, BenchmarkFolder, Cell
from textgym.agents.benchmark.rollouts import shown, step_rollouts
from textgym.agents.feedback_loop.control import saved_agent
from textgym.agents.feedback_loop.seed_runs import seed_folder
from textgym.agents.run_defaults import default_loop_flags
from textgym.agents.storage.checkpoint import load_json
from textgym.cli.logged_command import run_logged
from textgym.testing import Case


def loop_command(config: BenchmarkConfig, cell: Cell) -> list[str]:
    """Return the arguments of `textgym feedback-loop`: a command that anybody can repeat.

    PPO on the true reward is left out: what is measured is what the labels alone are worth.
    """
    command = [cell.env_id, "--seed", str(cell.seed), "--no-baseline"]
    command += default_loop_flags(cell.env_id)
    if config.steps is not None:
        command += ["--total-steps", str(config.steps)]
    return [*command, "--eval-episodes", str(config.eval_prompts)]


def train_control(config: BenchmarkConfig, folder: BenchmarkFolder, cell: Cell) -> dict[str, Any]:
    """Learn a reward from labels and PPO's policy from it, or go on with a run that stopped.

    Returns:
        JSON values: "trained" is the true return of the last policy, in episodes that it has not
        learned from; "minutes" are those of acting and learning, over all lives of the run.
    """
    arguments, output = loop_command(config, cell), folder.runs(cell)
    began = time.monotonic()
    command = ["feedback-loop", *arguments, "--output", str(output)]
    run_logged(command, output.with_suffix(".log"))
    (found,) = load_json(output / "result.json")["seeds"]
    rounds = found["rounds"]
    return {
        "command": f"textgym feedback-loop {' '.join(arguments)}",
        "labels": found["labels"],
        "spent": found["spent"],
        "steps": rounds[-1]["steps"],
        "minutes": sum(row["seconds"] for row in rounds) / 60,
        "minutes_in_all": (time.monotonic() - began) / 60,
        "trained": rounds[-1]["true_return"],
        "rollouts": _trained_rollouts(cell, seed_folder(output, cell.seed)),
    }


def _trained_rollouts(cell: Cell, folder: Path) -> list[dict[str, Any]]:
    agent = saved_agent(cell.env_id, folder)
    env = shown(Case(id=cell.env_id, family="control"))
    # Without exploring, as the true return was measured.
    return step_rollouts(env, lambda seen: agent.predict(seen, deterministic=True)[0])
