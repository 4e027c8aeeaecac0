r"""Draw proxy and gold against the distance from the reference, for best-of-n and for PPO.

Reward models are trained on comparisons of the reference model's own responses, for each size of
data and each share of noise; then the best of n samples is taken by them, and PPO is trained
against them, at several KL weights. What they say (proxy) and what was meant (gold) are drawn over
the square root of the KL, with the fits d(alpha - beta d) and d(alpha - beta log d) and the peaks
marked. ENV needs a gold utility and a language model as its reference. The output folder gets
cells/ (one JSON file for each measurement), curves.png, gold.png, alarms.png, results.json and
results.md. An interrupted study is continued by the same command, and a larger grid in the same
folder keeps what is there.

Examples:
  textgym overoptimize RLHF-Summarize-v0 --quick
  textgym overoptimize RLHF-Hackable-v0 --data-sizes 2000 --noises 0 --kl-coefs 0,0.05
  textgym overoptimize RLHF-Summarize-v0 --n-seeds 3 --workers 4 --output runs/overoptimize-3
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tqdm.auto import tqdm

from textgym.agents.overoptimization.figures import draw_study
from textgym.agents.overoptimization.plan import StudyConfig
from textgym.agents.overoptimization.results import alarm_table, as_plain, curves, table
from textgym.agents.overoptimization.study import num_jobs, run_study
from textgym.agents.storage.checkpoint import save_json
from textgym.cli.environment import load_quietly
from textgym.cli.study_flags import (
    Lists,
    add_study_flags,
    study_config,
    study_folder,
    study_workers,
)

_LISTS: Lists = {"data_sizes": int, "noises": float, "kl_coefs": float}
QUICK: dict[str, Any] = {
    "data_sizes": (100, 600),
    "noises": (0.0,),
    "kl_coefs": (0.0,),
    "n_prompts": 32,
    "n_samples": 16,
    "n_steps": 20_000,
    "n_envs": 32,
    "n_ensemble": 2,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym overoptimize`."""
    add_study_flags(
        parser,
        StudyConfig,
        _LISTS,
        command="overoptimize",
        quick="a small grid, for minutes; other flags win over it",
        workers="processes that measure side by side",
    )


def run(args: argparse.Namespace) -> int:
    """Measure what is missing, draw, and print the tables."""
    load_quietly()
    config = study_config(args, StudyConfig, _LISTS, QUICK)
    output = study_folder(args, "overoptimize")
    with tqdm(total=num_jobs(config), unit="cell", desc="over-optimisation") as bar:

        def report(name: str) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        folder = run_study(config, output, workers=study_workers(args), report=report)
    found = curves(config, folder)
    figures = draw_study(config, folder, found, output)
    tables = f"{table(found)}\n"
    if any(curve.cell.kind == "ppo" for curve in found):
        tables += f"\n{alarm_table(found)}\n"
    save_json(output / "results.json", as_plain(found))
    (output / "results.md").write_text(tables, encoding="utf-8")
    sys.stdout.write(f"{tables}\nfigures: {', '.join(map(str, figures))}\n")
    return 0
