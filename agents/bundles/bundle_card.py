"""A bundle's card: how it was built and what was measured, read from the stages' folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textgym.agents.bundles.bundle_recipe import BundleRecipe
from textgym.agents.bundles.comparisons import load_comparisons
from textgym.agents.storage.checkpoint import load_json


def bundle_card(
    recipe: BundleRecipe, work: Path, seconds: Mapping[str, float], command: str
) -> dict[str, Any]:
    """Return the card, JSON values.

    Args:
        recipe: What was built.
        work: Where the stages are.
        seconds: What each stage took.
        command: The command that builds it again.
    """
    sft = load_json(work / "sft" / "results.json")
    reward = load_json(work / "reward" / "results.json")
    train, held = (load_comparisons(work / n) for n in ("comparisons", "held_out"))
    return {
        "env_id": recipe.env_id,
        "command": command,
        "recipe": asdict(recipe),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "bytes": folder_bytes(work / "export"),
        "minutes": {name: round(s / 60, 1) for name, s in seconds.items()},
        "supervised": {
            "n_parameters": sft["n_parameters"],
            "n_pairs": sft["n_train"],
            "steps": sft["progress"]["step"],
            "held_out_loss": sft["held_out_loss"],
            "perplexity": sft["perplexity"],
        },
        "comparisons": {
            "n_train": len(train.pairs),
            "n_train_ties_left_out": train.n_ties,
            "n_held_out": len(held.pairs),
            "n_held_out_ties_left_out": held.n_ties,
            "gold_std": train.gold_std,
        },
        "normalisation": {"gain": reward["gain"], "bias": reward["bias"]},
        "measured": load_json(work / "measures.json"),
    }


def folder_bytes(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
