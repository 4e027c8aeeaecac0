"""How bundled models are built: what `textgym build` reads of an environment.

The environment of `envs_registry/NAME.py` ships models where `NAME_recipe.py` stands beside it,
with `BUILD`, a `BundleParts`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from textgym.envs_registry.specs import ENVIRONMENTS
from textgym.prompts import PromptSource
from textgym.rewards.base import RewardFn


@dataclass(frozen=True, kw_only=True)
class BundleParts:
    """What a build needs of an environment.

    Attributes:
        recipe: Keyword arguments of `textgym.agents.bundles.bundle_recipe.BundleRecipe`.
        quick: What `--quick` changes of them.
        source: From (data_seed, split) to prompts with human references.
        gold: Makes the hidden utility.
        evaluation: The same as `source`, for the prompts that the models are measured on, where
            the environment's human references are others than those imitated; None: `source`.
    """

    recipe: Mapping[str, Any]
    quick: Mapping[str, Any]
    source: Callable[[int, str], PromptSource]
    gold: Callable[[], RewardFn]
    evaluation: Callable[[int, str], PromptSource] | None = None

    def prompts(self, data_seed: int) -> dict[str, PromptSource]:
        """The sources that `build_bundle` takes."""
        evaluation = self.evaluation or self.source
        return {
            "train": self.source(data_seed, "train"),
            "careful": evaluation(data_seed, "train"),
            "validation": self.source(data_seed, "validation"),
            "evaluation": evaluation(data_seed, "validation"),
        }


def recipe_modules() -> dict[str, str]:
    """From environment id to its recipe's module, for those that ship models of their own."""
    modules = {row.id: row.entry_point.split(":")[0] + "_recipe" for row in ENVIRONMENTS}
    return {env_id: name for env_id, name in modules.items() if find_spec(name) is not None}


def bundle_parts(env_id: str) -> BundleParts:
    """What `textgym build` needs of an environment.

    Raises:
        KeyError: An environment without bundled models of its own.
    """
    parts: BundleParts = importlib.import_module(recipe_modules()[env_id]).BUILD
    return parts
