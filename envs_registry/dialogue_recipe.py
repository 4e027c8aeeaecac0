"""How the bundled models of RLHF-Dialogue-v0 are built, as data for `textgym build`."""

from __future__ import annotations

from typing import Any

from textgym.envs_registry.dialogue_desk.gold import OTHERS, DialogueGold
from textgym.envs_registry.dialogue_desk.source import DialoguePrompts, HastyDialogues
from textgym.envs_registry.recipes import BundleParts

ENV_ID = "RLHF-Dialogue-v0"

# Keyword arguments of `textgym.agents.bundles.bundle_recipe.BundleRecipe`.
RECIPE: dict[str, Any] = {
    "env_id": ENV_ID,
    "data_seed": 0,
    "seed": 0,
    "vocab_size": 640,
    "model": "scratch:llama,layers=3,width=96,heads=4,mlp=288,positions=512",
    "max_prompt_tokens": 32,
    "max_new_tokens": 64,
    "max_reply_tokens": 80,
    "others": OTHERS,
    "n_tokenizer_posts": 10_000,
    "n_sft_posts": 40_000,
    "sft_batch_tokens": 1024,
    "sft_learning_rate": 3e-3,
    "sft_optimizer": "muon",
    "n_comparison_prompts": 6_000,
    "responses_per_prompt": 2,
    "compare_people": True,
    "teacher_temperature": 0.25,
    "teacher_mistake_rate": 0.02,
    "reward_epochs": 1.0,
    "reward_batch_tokens": 2048,
    "reward_learning_rate": 1e-3,
    "reward_optimizer": "muon",
    "n_normalisation": 512,
    "n_held_out_prompts": 500,
    "n_evaluation": 512,
}

# What `--quick` changes: every stage runs, nothing is learned well.
QUICK: dict[str, Any] = {
    "n_tokenizer_posts": 2_000,
    "n_sft_posts": 2_000,
    "n_comparison_prompts": 300,
    "n_normalisation": 64,
    "n_held_out_prompts": 64,
    "n_evaluation": 64,
}

BUILD = BundleParts(
    recipe=RECIPE,
    quick=QUICK,
    source=HastyDialogues,
    gold=DialogueGold,
    evaluation=DialoguePrompts,
)
