"""How the bundled models of RLHF-Summarize-v0 are built, as data for `textgym build`."""

from __future__ import annotations

from typing import Any

from textgym.envs_registry.recipes import BundleParts
from textgym.envs_registry.summarize_posts.gold import SummarizeGold
from textgym.envs_registry.summarize_posts.posts import SummarizePosts

ENV_ID = "RLHF-Summarize-v0"

# Keyword arguments of `textgym.agents.bundles.bundle_recipe.BundleRecipe`.
RECIPE: dict[str, Any] = {
    "env_id": ENV_ID,
    "data_seed": 0,
    "seed": 0,
    "vocab_size": 1536,
    "model": "scratch:llama,layers=5,width=128,heads=4,mlp=384,positions=512",
    "max_prompt_tokens": 112,
    "max_new_tokens": 48,
    "n_sft_posts": 130_000,
    "sft_batch_tokens": 3072,
    "sft_learning_rate": 2e-3,
    "n_comparison_prompts": 12_000,
    "responses_per_prompt": 3,
    "teacher_temperature": 0.25,
    "teacher_mistake_rate": 0.02,
    "reward_epochs": 2.0,
    "reward_batch_tokens": 2048,
    "reward_learning_rate": 1e-3,
}

# What `--quick` changes: every stage runs, nothing is learned well.
QUICK: dict[str, Any] = {
    "n_tokenizer_posts": 2_000,
    "n_sft_posts": 4_000,
    "n_comparison_prompts": 600,
    "n_normalisation": 256,
    "n_held_out_prompts": 200,
    "n_evaluation": 128,
}

BUILD = BundleParts(recipe=RECIPE, quick=QUICK, source=SummarizePosts, gold=SummarizeGold)
