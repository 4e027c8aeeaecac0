"""How the bundled models of RLHF-DataToText-v0 are built, as data for `textgym build`."""

from __future__ import annotations

from typing import Any

from textgym.envs_registry.data_to_text_records.gold import DataToTextGold
from textgym.envs_registry.data_to_text_records.records import HastyRecords, Records
from textgym.envs_registry.recipes import BundleParts

ENV_ID = "RLHF-DataToText-v0"

# Keyword arguments of `textgym.agents.bundles.bundle_recipe.BundleRecipe`.
RECIPE: dict[str, Any] = {
    "env_id": ENV_ID,
    "data_seed": 0,
    "seed": 0,
    "vocab_size": 800,
    "model": "scratch:llama,layers=4,width=96,heads=4,mlp=288,positions=256",
    "max_prompt_tokens": 56,
    "max_new_tokens": 48,
    "n_tokenizer_posts": 10_000,
    "n_sft_posts": 50_000,
    "sft_batch_tokens": 1024,
    "sft_learning_rate": 3e-3,
    "sft_optimizer": "muon",
    "n_comparison_prompts": 12_000,
    "responses_per_prompt": 2,
    "compare_people": True,
    "teacher_temperature": 0.25,
    "teacher_mistake_rate": 0.02,
    "reward_epochs": 2.0,
    "reward_batch_tokens": 2048,
    "reward_learning_rate": 1e-3,
    "reward_optimizer": "muon",
    "reward_token_aggregate": "sum",
    "n_normalisation": 1024,
    "n_held_out_prompts": 400,
    "n_evaluation": 512,
}

# What `--quick` changes: every stage runs, nothing is learned well.
QUICK: dict[str, Any] = {
    "n_tokenizer_posts": 2_000,
    "n_sft_posts": 2_000,
    "n_comparison_prompts": 300,
    "n_normalisation": 128,
    "n_held_out_prompts": 100,
    "n_evaluation": 64,
}

BUILD = BundleParts(
    recipe=RECIPE, quick=QUICK, source=HastyRecords, gold=DataToTextGold, evaluation=Records
)
