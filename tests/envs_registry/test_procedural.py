"""Procedural prompts: purity, splits, bad arguments; and where a build finds its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from textgym.config import SPLITS
from textgym.envs_registry.draws import Draws
from textgym.envs_registry.procedural import ProceduralPrompts, owner_of
from textgym.envs_registry.recipes import BundleParts, bundle_parts, recipe_modules
from textgym.prompts import PromptSource
from textgym.types import Prompt


class Numbers(ProceduralPrompts):
    """A number each, and one more draw while it is written."""

    def draw(self, rng: Draws) -> dict[str, Any]:
        return {"number": rng.integers(1000)}

    def identity(self, facts: Mapping[str, Any]) -> str:
        return str(facts["number"])

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        return Prompt(
            prompt_id=prompt_id, text=str(facts["number"]), references=(str(rng.integers(9)),)
        )


def test_an_item_is_a_pure_function_of_seed_split_and_index() -> None:
    source: PromptSource = Numbers(0, "train")
    assert [source[i] for i in (5, 2)] == [Numbers(0, "train", 6)[5], Numbers(0, "train")[2]]
    assert [source[i].prompt_id for i in (0, 7)] == [0, 7]
    assert [source[i].text for i in range(20)] != [Numbers(1, "train")[i].text for i in range(20)]


def test_splits_share_no_identity() -> None:
    found = {split: {Numbers(0, split)[i].text for i in range(600)} for split in SPLITS}
    assert not (found["train"] & found["validation"]) | (found["train"] & found["test"])
    assert not found["validation"] & found["test"]
    assert all({owner_of(text) for text in texts} == {split} for split, texts in found.items())


def test_owner_is_stable_between_versions() -> None:
    # The first 8 bytes of `sha256sum` modulo 10: 0 for "7", 1 for "14", 3 for "1".
    owners = [owner_of(text) for text in ("7", "14", "1")]
    assert owners == ["validation", "test", "train"]


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="split must be one of .* got 'dev'"):
        Numbers(0, "dev")
    with pytest.raises(ValueError, match="data_seed must be a whole number of at least 0, got -1"):
        Numbers(-1, "train")
    with pytest.raises(IndexError, match="from 0 to 3, got 4"):
        Numbers(0, "train", 4)[4]


def test_recipes_stand_beside_their_environments() -> None:
    modules = recipe_modules()
    assert modules["RLHF-Summarize-v0"] == "textgym.envs_registry.summarize_recipe"
    assert "RLHF-Hackable-v0" not in modules  # it shares the models of another
    for env_id in modules:
        parts = bundle_parts(env_id)
        assert isinstance(parts, BundleParts) and parts.recipe["env_id"] == env_id
        assert parts.source(0, "train")[0].references
