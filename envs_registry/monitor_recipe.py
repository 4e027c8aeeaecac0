"""How the bundled models of RLHF-Monitor-v0 are built, as data for `textgym build`."""

from __future__ import annotations

from typing import Any

from textgym.envs_registry.monitor_streams.gold import EarlyAndRight
from textgym.envs_registry.monitor_streams.readers import WAIT, symbol_of
from textgym.envs_registry.monitor_streams.remarks import NUM_WORDS, POLARITIES
from textgym.envs_registry.monitor_streams.streams import HastyReadings, MonitorStreams
from textgym.envs_registry.recipes import BundleParts

ENV_ID = "RLHF-Monitor-v0"

# Keyword arguments of `textgym.agents.bundles.bundle_recipe.BundleRecipe`.
RECIPE: dict[str, Any] = {
    "env_id": ENV_ID,
    "data_seed": 0,
    "seed": 0,
    "vocab_size": 640,
    "symbols": " ".join(symbol_of(action) for action in (WAIT, *POLARITIES)),
    "model": "scratch:llama,layers=3,width=64,heads=4,mlp=176,positions=256",
    "max_prompt_tokens": 16,
    # The last word that is waited for, and the decision behind it.
    "max_new_tokens": NUM_WORDS + 1,
    "max_reply_tokens": 40,
    "n_tokenizer_posts": 5_000,
    "n_sft_posts": 40_000,
    "sft_batch_tokens": 1024,
    "sft_learning_rate": 3e-3,
    "sft_optimizer": "muon",
    "n_comparison_prompts": 20_000,
    "responses_per_prompt": 2,
    "compare_people": True,
    "teacher_temperature": 0.25,
    "teacher_mistake_rate": 0.02,
    "reward_epochs": 2.0,
    "reward_batch_tokens": 2048,
    "reward_learning_rate": 1e-3,
    "reward_optimizer": "muon",
    "n_normalisation": 512,
    "n_held_out_prompts": 400,
    "n_evaluation": 512,
}

# What `--quick` changes: every stage runs, nothing is learned well.
QUICK: dict[str, Any] = {
    "n_tokenizer_posts": 2_000,
    "n_sft_posts": 1_000,
    "n_comparison_prompts": 300,
    "n_normalisation": 128,
    "n_held_out_prompts": 100,
    "n_evaluation": 64,
}

# The reference model imitates readers in haste; it is measured beside the best reader.
BUILD = BundleParts(
    recipe=RECIPE, quick=QUICK, source=HastyReadings, gold=EarlyAndRight, evaluation=MonitorStreams
)
