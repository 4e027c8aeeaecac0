r"""Write the card of every environment, and the gallery of them: docs/environments/.

A card is made of what the environment says of itself (its docstring, spaces, sample prompts) and of
figures that a benchmark measured (scores of random, reference, best known and trained policies with
intervals, their commands, and five rollouts of each), which are kept in a JSON file beside it.
--figures FOLDER takes new figures from a folder of `textgym benchmark`; where that trained nothing
(--seeds 0), a card keeps the runs that it has, if they are of the same environment. Figures that
were measured on other models, prompts or settings than today's are named on the standard error.

Examples:
  textgym cards
  textgym benchmark --suite PROBES --output runs/probes && textgym cards --figures runs/probes
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from textgym.agents.benchmark.plan import ROWS, BenchmarkFolder
from textgym.agents.cards.facts import facts_of
from textgym.agents.cards.figures import (
    Figures,
    disagreement,
    figures_from,
    stored_figures,
    with_fingerprint,
    with_runs_of,
)
from textgym.agents.cards.page import card, gallery
from textgym.agents.storage.checkpoint import save_json
from textgym.cli.environment import load_quietly
from textgym.cli.manual_parser import nearest

PAGES = Path("docs") / "environments"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym cards`."""
    parser.add_argument(
        "envs", metavar="ENV", nargs="*", help="ids whose cards are written [default: all]"
    )
    parser.add_argument(
        "--output", type=Path, default=PAGES, help=f"folder of the cards [default: {PAGES}]"
    )
    parser.add_argument(
        "--figures", type=Path, metavar="FOLDER", help="take new figures from this benchmark"
    )


def run(args: argparse.Namespace) -> int:
    """Write the cards and the gallery."""
    load_quietly()
    for env_id in args.envs:
        if env_id not in ROWS:
            raise ValueError(f"unknown environment {env_id!r}{nearest(env_id, ROWS)}")
    if args.figures is not None and not (args.figures / "study.json").is_file():
        raise ValueError(f"--figures must be a benchmark's folder, got {str(args.figures)!r}")
    chosen = args.envs or list(ROWS)
    args.output.mkdir(parents=True, exist_ok=True)
    written = []
    for env_id, row in ROWS.items():
        before = figures = stored_figures(args.output, env_id)
        if env_id in chosen:
            figures = _todays(env_id, before, args.figures)
            if figures is not None and figures != before:
                save_json(args.output / f"{env_id}.json", figures)
        found = (facts_of(row), figures)
        written.append(found)
        if env_id in chosen:
            (args.output / f"{env_id}.md").write_text(card(*found), encoding="utf-8")
    (args.output / "README.md").write_text(gallery(written), encoding="utf-8")
    sys.stdout.write(f"{len(chosen)} cards: {args.output / 'README.md'}\n")
    return 0


def _todays(env_id: str, stored: Figures | None, folder: Path | None) -> Figures | None:
    """Return a card's figures: new ones where a benchmark has them, else those that it has.

    Runs that do not stay, and figures of another environment than today's, are named.
    """
    stored = None if stored is None else with_fingerprint(stored)
    new = None if folder is None else figures_from(BenchmarkFolder(folder), env_id)
    figures = stored if new is None else with_runs_of(new, stored)
    if figures is None:
        return None
    if stored is not None and stored["runs"] and not figures["runs"]:
        _warn(f"the runs of {env_id} were measured on another environment: they are left out")
    if (message := disagreement(figures)) is not None:
        _warn(message)
    return figures


def _warn(message: str) -> None:
    sys.stderr.write(f"textgym cards: {message}\n")
