"""Rebuild the models bundled with an environment: tokenizer, reference model, reward model.

Everything comes from the environment's own prompts and hidden utility, seeded. Stages that are
complete are skipped, so an interrupted build goes on where it stopped. The last line says where
the card with all measured numbers is.

Examples:
  textgym build RLHF-Summarize-v0
  textgym build RLHF-Summarize-v0 --quick --output runs/quick
  textgym build RLHF-Summarize-v0 --output envs_registry/assets/summarize-v0 --work runs/build
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textgym.agents.bundles.bundle import CARD, build_bundle
from textgym.agents.bundles.bundle_recipe import BundleRecipe
from textgym.cli.environment import load_quietly
from textgym.cli.flags import add_config_flags, config_from
from textgym.cli.manual_parser import nearest
from textgym.envs_registry.recipes import bundle_parts, recipe_modules


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym build`."""
    parser.add_argument("env", help=f"environment that ships models: {', '.join(recipe_modules())}")
    parser.add_argument("--output", type=Path, help="folder of the bundle [default: runs/ENV]")
    parser.add_argument(
        "--work", type=Path, help="folder of the stages [default: the output with .work added]"
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: a minute or two, to see that it works"
    )
    add_config_flags(
        parser, BundleRecipe, title="recipe (defaults: the environment's own)", skip=("env_id",)
    )


def run(args: argparse.Namespace) -> int:
    """Build one bundle.

    Raises:
        ValueError: An environment without bundled models.
    """
    known = recipe_modules()
    if args.env not in known:
        raise ValueError(
            f"env must be one of {sorted(known)}, got {args.env!r}{nearest(args.env, known)}"
        )
    load_quietly()
    bundled = bundle_parts(args.env)
    changes = asdict(config_from(args, BundleRecipe, env_id=args.env))
    chosen = {name: changes[name] for name in changes if name in vars(args)}
    recipe = BundleRecipe(
        **{**bundled.recipe, **(bundled.quick if args.quick else {}), **chosen, "env_id": args.env}
    )
    output = args.output or Path("runs") / args.env
    card = build_bundle(
        recipe,
        bundled.prompts(recipe.data_seed),
        bundled.gold(),
        output,
        work=args.work,
        command=" ".join(["textgym", "build", *sys.argv[2:]]),
        progress=True,
        report=lambda line: print(line, file=sys.stderr),
    )
    print(_summary(card))
    print(f"card: {output / CARD}")
    return 0


def _summary(card: Mapping[str, Any]) -> str:
    reference, reward = card["measured"]["reference_model"], card["measured"]["reward_model"]
    rows = {
        "gold, human references": reference["gold_human"],
        "gold, sampled": reference["gold_sampled"],
        "gold, greedy": reference["gold_greedy"],
        "sampled / human": reference["gold_sampled_over_human"],
        "reward model, accuracy against gold": reward["gold_accuracy"],
        "reward model, accuracy against labels": reward["accuracy"],
        "labels, accuracy against gold": reward["label_accuracy"],
        "longer response, accuracy against gold": reward["longer_gold_accuracy"],
    }
    lines = [
        f"{name:40} {e['mean']:6.3f}  [{e['low']:.3f}, {e['high']:.3f}]  n={e['count']}"
        for name, e in rows.items()
    ]
    lines.append(f"{'size':40} {card['bytes'] / 1e6:6.2f} MB")
    lines.append(f"{'minutes':40} {sum(card['minutes'].values()):6.1f}")
    return "\n".join(lines)
