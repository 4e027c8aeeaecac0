"""The builder of an environment's bundled models: tokenizer, reference model, reward model.

Stages (`bundle_stages.py`), each kept in a work folder and skipped when it is complete there:
tokenizer, supervised fine-tuning, comparisons, reward model, export in float16, measures on what
was exported.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textgym.agents.bundles.bundle_card import bundle_card
from textgym.agents.bundles.bundle_recipe import STAGES, BundleRecipe, stages_after_change
from textgym.agents.bundles.bundle_stages import REFERENCE_MODEL, REWARD_MODEL, BundleStages
from textgym.agents.storage.checkpoint import load_json, save_folder, save_json
from textgym.prompts import PromptSource
from textgym.rewards.base import RewardFn

CARD = "card.json"
_STAGE_FOLDERS = {
    "tokenizer": ("tokenizer",),
    "sft": ("sft",),
    "comparisons": ("comparisons", "held_out"),
    "reward": ("reward",),
    "export": ("export",),
    "measures": (),
}


def build_bundle(
    recipe: BundleRecipe,
    prompts_by_split: Mapping[str, PromptSource],
    gold: RewardFn,
    folder: str | Path,
    *,
    work: str | Path | None = None,
    command: str = "",
    progress: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Build, measure and save a bundle; an interrupted build goes on where it stopped.

    Args:
        recipe: What to build.
        prompts_by_split: Sources "train" and "validation", both with human references, and
            optionally "evaluation": the prompts of "validation" with the references that the
            reference model's responses are compared with, where those are others. "careful", the
            prompts of "train" with such references, is needed for `compare_people`.
        gold: The hidden utility of finished episodes.
        folder: Gets `reference_model/`, `reward_model/` and `card.json`, all at once at the end.
        work: Where the stages are kept; beside `folder`, with ".work" added, where None. Stages
            that an earlier recipe built are kept where the change does not touch them.
        command: The command that builds it again, for the card.
        progress: Show bars with the time left.
        report: Called with one line as each stage begins or is found complete.

    Returns:
        The card.

    Raises:
        ValueError: Too few prompts, or a bundle above `bundle_stages.MAX_BYTES`.
        CheckpointError: A stage in `work` is damaged.
    """
    folder = Path(folder)
    work = folder.with_name(folder.name + ".work") if work is None else Path(work)
    stages = BundleStages(recipe, prompts_by_split, gold, work, progress)
    return _Build(stages, report).run(folder, command)


class _Build:
    """One build: its stages in their order, those left out that are complete."""

    def __init__(self, stages: BundleStages, report: Callable[[str], None]) -> None:
        self.stages, self.report = stages, report
        self.recipe, self.work = stages.recipe, stages.work
        self.seconds: dict[str, float] = {}

    def run(self, folder: Path, command: str) -> dict[str, Any]:
        self._claim_work_folder()
        build: Mapping[str, Callable[[], None]] = {
            "tokenizer": self.stages.make_tokenizer,
            "sft": self.stages.fine_tune,
            "comparisons": self.stages.compare,
            "reward": self.stages.learn_reward,
            "export": self.stages.export,
            "measures": self.stages.measure,
        }
        for number, name in enumerate(STAGES, start=1):
            if name in self.seconds:
                self.report(f"[{number}/{len(STAGES)}] {name}: complete, skipped")
                continue
            self.report(f"[{number}/{len(STAGES)}] {name}")
            start = time.monotonic()
            build[name]()
            self.seconds[name] = round(time.monotonic() - start, 1)
            save_json(self.work / "seconds.json", self.seconds)
        card = bundle_card(self.recipe, self.work, self.seconds, command)
        save_folder(folder, lambda target: self._fill(target, card))
        return card

    def _claim_work_folder(self) -> None:
        """Keep the stages of an earlier run that this recipe would build in the same way."""
        self.work.mkdir(parents=True, exist_ok=True)
        times, file = self.work / "seconds.json", self.work / "recipe.json"
        self.seconds = load_json(times) if times.is_file() else {}
        ours = asdict(self.recipe)
        theirs = load_json(file) if file.is_file() else ours
        changed = [name for name, value in ours.items() if theirs.get(name, value) != value]
        for stage in stages_after_change(changed):
            self.seconds.pop(stage, None)
            for folder in _STAGE_FOLDERS[stage]:
                shutil.rmtree(self.work / folder, ignore_errors=True)
        if changed:
            self.report(
                f"the recipe changed ({', '.join(changed)}): what depends on it starts anew"
            )
        save_json(times, self.seconds)
        save_json(file, ours)

    def _fill(self, target: Path, card: dict[str, Any]) -> None:
        for name in (REFERENCE_MODEL, REWARD_MODEL):
            shutil.copytree(self.work / "export" / name, target / name)
        for file in target.rglob("*"):
            if file.is_file():
                os.chmod(file, 0o644)  # safetensors are written for their owner only
        save_json(target / CARD, card)
