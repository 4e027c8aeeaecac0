"""How the bundled models of RLHF-QA-v0 are built, as data for `textgym build`."""

from __future__ import annotations

from typing import Any

from textgym.envs_registry.qa_passages.gold import QAGold
from textgym.envs_registry.qa_passages.passages import FreeQAPassages, QAPassages
from textgym.envs_registry.recipes import BundleParts

ENV_ID = "RLHF-QA-v0"

# Keyword arguments of `textgym.agents.bundles.bundle_recipe.BundleRecipe`.
RECIPE: dict[str, Any] = {
    "env_id": ENV_ID,
    "data_seed": 0,
    "seed": 0,
    "vocab_size": 896,
    "model": "scratch:llama,layers=2,width=96,heads=4,mlp=288,positions=512",
    "max_prompt_tokens": 64,
    "max_new_tokens": 14,
    "n_tokenizer_posts": 10_000,
    "n_sft_posts": 60_000,
    "sft_batch_tokens": 1024,
    "sft_learning_rate": 3e-3,
    "sft_loss_on": "response",
    "sft_optimizer": "muon",
    "n_comparison_prompts": 10_000,
    "responses_per_prompt": 2,
    "compare_people": True,
    "teacher_temperature": 0.25,
    "teacher_mistake_rate": 0.02,
    "reward_epochs": 2.0,
    "reward_batch_tokens": 2048,
    "reward_learning_rate": 1e-3,
    "reward_optimizer": "muon",
    "n_evaluation": 768,
    "n_held_out_prompts": 600,
    "n_normalisation": 1_024,
}

# What `--quick` changes: every stage runs, nothing is learned well.
QUICK: dict[str, Any] = {
    "n_tokenizer_posts": 1_000,
    "n_sft_posts": 4_000,
    "sft_batch_tokens": 512,
    "n_comparison_prompts": 300,
    "n_normalisation": 128,
    "n_held_out_prompts": 100,
    "n_evaluation": 64,
}

# The reference model imitates people as they answer; people who were asked to be brief are what its
# responses are compared with.
BUILD = BundleParts(
    recipe=RECIPE, quick=QUICK, source=FreeQAPassages, evaluation=QAPassages, gold=QAGold
)
