"""The models that a rollout is measured with: the bundled one, or a folder at random weights.

Random weights cost what trained ones cost. They end a response as rarely as any other token comes,
so nearly all responses are as long as the cap allows, in the loop and in `generate()` alike.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GPT2Config,
    LlamaConfig,
    PretrainedConfig,
)

from textgym.envs_registry import summarize

ENV_ID = "RLHF-Summarize-v0"
BUNDLED_TOKENIZER = summarize.BUNDLE.folder / "reference_model"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What one run measures.

    Attributes:
        name: Word after `--model`.
        num_rows: Rows of the loop and prompts of one `generate()`.
        num_batches: Batches of `generate()` in one round; the loop plays `steps_per_batch` each.
        uncached_steps: Steps of the loop without a cache in one round.
        repeats: Measured rounds.
        config: Of the causal language model; None for the bundled models.
    """

    name: str
    num_rows: int = 64
    num_batches: int = 2
    uncached_steps: int = 2
    repeats: int = 5
    config: dict[str, Any] | None = field(default=None)

    @property
    def suffix(self) -> str:
        """What the names of this model's ratios end in."""
        return "" if self.config is None else "_" + self.name.replace("-", "_")


SUBJECTS = {
    "bundled": Subject(name="bundled", num_batches=4),
    "llama-14m": Subject(
        name="llama-14m",
        num_batches=1,
        repeats=3,
        config={
            "model_type": "llama",
            "hidden_size": 384,
            "intermediate_size": 960,
            "num_hidden_layers": 8,
            "num_attention_heads": 6,
            "max_position_embeddings": 512,
            "tie_word_embeddings": True,
        },
    ),
    # 124 million weights; its vocabulary of 50,257 makes the output layer and sampling cost what
    # they cost there.
    "gpt2": Subject(
        name="gpt2",
        num_rows=16,
        num_batches=1,
        uncached_steps=1,
        repeats=2,
        config={"model_type": "gpt2", "vocab_size": 50257},
    ),
}


def model_arguments(subject: Subject, folder: Path) -> dict[str, str]:
    """Write the subject's reference and reward model; returns the environment's arguments.

    Args:
        subject: What is measured.
        folder: An empty folder that lasts as long as the environment.
    """
    if subject.config is None:
        return {}
    config = _config(subject.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = AutoModelForCausalLM.from_config(config)
        config.num_labels = 1
        scorer = AutoModelForSequenceClassification.from_config(config)
    paths = {"reference_model": folder / "reference_model", "reward_model": folder / "reward_model"}
    for model, path in zip((policy, scorer), paths.values(), strict=True):
        model.save_pretrained(path)
        _write_tokenizer(path, config.vocab_size)
    return {name: str(path) for name, path in paths.items()}


def _config(settings: dict[str, Any]) -> PretrainedConfig:
    settings = dict(settings)
    kinds: dict[str, Any] = {"llama": LlamaConfig, "gpt2": GPT2Config}
    kind = kinds[settings.pop("model_type")]
    tokens = {"bos_token_id": None, "eos_token_id": 2, "pad_token_id": 3}
    return kind(**{"vocab_size": 1536, **tokens, **settings})


def _write_tokenizer(folder: Path, vocab_size: int) -> None:
    """Copy the bundled tokenizer, with pieces that no text holds up to `vocab_size`."""
    content = json.loads((BUNDLED_TOKENIZER / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = content["model"]["vocab"]
    pieces.update({f"<filler {i}>": i for i in range(len(pieces), vocab_size)})
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    settings = (BUNDLED_TOKENIZER / "tokenizer_config.json").read_text(encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")
