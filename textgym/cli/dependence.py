r"""Measure how much of an agent's ability is its teacher's presence, and how much is its own.

Agents are trained by PPO on the scores of a simulated teacher. Apparent ability is what that
teacher says of the trained agent; autonomous ability is gold on held-out prompts once the teacher
has left, on the same scale from 0 to 1, on which the reference model has 0.5 either way. Their
difference is drawn against the teacher's bias, against the labels that it may give and against
the time that it stays. ENV needs a gold utility and a language model as its reference. The output
folder gets cells/ (one JSON file for each agent), dependence.png, results.json and results.md. An
interrupted study is continued by the same command, and a larger grid in the same folder keeps what
is there.

Examples:
  textgym dependence RLHF-Summarize-v0 --quick
  textgym dependence RLHF-Summarize-v0 --n-seeds 3 --output runs/dependence-3
  textgym dependence RLHF-Summarize-v0 --bias-knob keyword_bias --teacher "keywords=please|thanks"
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tqdm.auto import tqdm

from textgym.agents.dependence.figures import draw
from textgym.agents.dependence.plan import DependenceConfig
from textgym.agents.dependence.results import as_plain, findings, table
from textgym.agents.dependence.study import run_study
from textgym.agents.storage.checkpoint import save_json
from textgym.cli.environment import load_quietly
from textgym.cli.study_flags import (
    Lists,
    add_study_flags,
    study_config,
    study_folder,
    study_workers,
)

_LISTS: Lists = {"biases": float, "budgets": float, "dropouts": float}
QUICK: dict[str, Any] = {
    "biases": (0.0, 2.0),
    "budgets": (),
    "dropouts": (),
    "n_steps": 9_000,
    "n_prompts": 128,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym dependence`."""
    add_study_flags(
        parser,
        DependenceConfig,
        _LISTS,
        command="dependence",
        quick="two short agents; other flags win over it",
        workers="processes that train side by side",
    )


def run(args: argparse.Namespace) -> int:
    """Train what is missing, draw, and print the table."""
    load_quietly()
    config = study_config(args, DependenceConfig, _LISTS, QUICK)
    output = study_folder(args, "dependence")
    with tqdm(total=len(config.cells()), unit="agent", desc="dependence") as bar:

        def report(name: str) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        folder = run_study(config, output, workers=study_workers(args), report=report)
    found = findings(config, folder)
    figure = draw(found, output / "dependence.png")
    save_json(output / "results.json", as_plain(config, found))
    (output / "results.md").write_text(f"{table(found)}\n", encoding="utf-8")
    sys.stdout.write(f"{table(found)}\nfigure: {figure}\n")
    return 0
