"""How the bundled models of RLHF-NER-v0 are built, as data for `textgym build`."""

from __future__ import annotations

from typing import Any

from textgym.envs_registry.ner_sentences.gold import EntityF1
from textgym.envs_registry.ner_sentences.scheme import TAGS, symbol_of
from textgym.envs_registry.ner_sentences.sentences import HastySentences, NERSentences
from textgym.envs_registry.recipes import BundleParts

ENV_ID = "RLHF-NER-v0"

# Keyword arguments of `textgym.agents.bundles.bundle_recipe.BundleRecipe`.
RECIPE: dict[str, Any] = {
    "env_id": ENV_ID,
    "data_seed": 0,
    "seed": 0,
    "vocab_size": 640,
    "symbols": " ".join(symbol_of(tag) for tag in TAGS),
    "model": "scratch:llama,layers=3,width=64,heads=4,mlp=176,positions=512",
    "max_prompt_tokens": 48,
    "max_new_tokens": 20,
    "max_reply_tokens": 44,
    "n_tokenizer_posts": 5_000,
    "n_sft_posts": 30_000,
    "sft_batch_tokens": 1024,
    "sft_learning_rate": 3e-3,
    "sft_loss_on": "response",
    "n_comparison_prompts": 4_000,
    "teacher_temperature": 0.25,
    "teacher_mistake_rate": 0.02,
    "reward_batch_tokens": 1024,
    "reward_learning_rate": 1e-3,
    "n_normalisation": 512,
    "n_held_out_prompts": 300,
    "n_evaluation": 256,
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

# The reference model imitates people who tag in haste; it is measured beside an expert.
BUILD = BundleParts(
    recipe=RECIPE, quick=QUICK, source=HastySentences, gold=EntityF1, evaluation=NERSentences
)
