"""Shared fixtures: tiny random models and one tiny tokenizer, made once per session."""

from __future__ import annotations

import os

# Nothing here may reach for a network; set before transformers is first imported.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Tiny models run slower on several threads than on one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TINY_VOCAB_SIZE = 320
TINY_WIDTH = 32
TINY_SENTENCE = (
    "the a my friend dog said that we should go home later because offered pay half i you it "
    "was nice but rude money trip house sister brother 2 34 500"
)
ARCHITECTURES = ("llama", "gpt2", "gpt_neox", "qwen2", "qwen3", "gemma", "mistral", "opt")


def tiny_texts(count: int = 200) -> list[str]:
    """Return generated texts in the shape of a post and its summary."""
    rng, words = random.Random(0), TINY_SENTENCE.split()
    return [
        f"{' '.join(rng.choices(words, k=16))}.\n\nTL;DR: {' '.join(rng.choices(words, k=6))}"
        for _ in range(count)
    ]


def tiny_config(architecture: str, vocab_size: int = TINY_VOCAB_SIZE, **changes: Any) -> Any:
    """Return a two-layer configuration of one of `ARCHITECTURES`."""
    from transformers import AutoConfig

    common = {"vocab_size": vocab_size, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    llama_like = {
        "hidden_size": TINY_WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
    }
    special: dict[str, dict[str, Any]] = {
        "gpt2": {"n_embd": TINY_WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 512},
        "gpt_neox": {
            "hidden_size": TINY_WIDTH,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 512,
        },
        "opt": {
            "hidden_size": TINY_WIDTH,
            "word_embed_proj_dim": 16,
            "ffn_dim": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 512,
        },
        "mistral": {**llama_like, "sliding_window": None},
    }
    settings = special.get(architecture, llama_like)
    return AutoConfig.for_model(architecture, **{**common, **settings, **changes})


def scramble(model: Any, seed: int = 0) -> Any:
    """Add a seeded normal draw to every parameter, wide enough that no logits are nearly flat."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_gain = parameter.dim() == 1 and "norm" in name and name.endswith("weight")
            if not is_gain:
                parameter.copy_(0.15 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.fixture(scope="session")
def tiny_tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a SentencePiece tokenizer of `TINY_VOCAB_SIZE` ids and no model."""
    from textgym.tokenizer import train_sentencepiece

    folder = tmp_path_factory.mktemp("tiny_tokenizer")
    train_sentencepiece(tiny_texts(), folder, TINY_VOCAB_SIZE)
    return folder


@pytest.fixture(scope="session")
def make_tiny_model() -> Callable[..., Any]:
    """Return `make(architecture="llama", seed=0, **config_changes)`: a new causal LM, random."""

    def make(architecture: str = "llama", seed: int = 0, **changes: Any) -> Any:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_config(tiny_config(architecture, **changes))
        return scramble(model, seed)

    return make


@pytest.fixture(scope="session")
def make_model_folder(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_tokenizer_folder: Path,
    make_tiny_model: Callable[..., Any],
) -> Callable[..., Path]:
    """Return `make(architecture="llama", **config_changes) -> folder` with model and tokenizer."""
    from textgym.tokenizer import load_tokenizer

    made: dict[str, Path] = {}

    def make(architecture: str = "llama", seed: int = 0, **changes: Any) -> Path:
        key = repr((architecture, seed, sorted(changes.items())))
        if key not in made:
            folder = tmp_path_factory.mktemp(f"tiny_{architecture}")
            make_tiny_model(architecture, seed, **changes).save_pretrained(folder)
            load_tokenizer(tiny_tokenizer_folder).save(folder)
            made[key] = folder
        return made[key]

    return make


@pytest.fixture(scope="session")
def tiny_model_folder(make_model_folder: Callable[..., Path]) -> Path:
    """Return the folder of a random two-layer Llama with its tokenizer."""
    return make_model_folder("llama")


@pytest.fixture(scope="session")
def make_reward_folder(
    tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_folder: Path
) -> Callable[..., Path]:
    """Return `make(num_labels=1, architecture="llama") -> folder` of a sequence classifier."""
    from textgym.tokenizer import load_tokenizer

    def make(num_labels: int = 1, architecture: str = "llama") -> Path:
        from transformers import AutoModelForSequenceClassification

        folder = tmp_path_factory.mktemp("tiny_reward")
        config = tiny_config(architecture, num_labels=num_labels)
        model = AutoModelForSequenceClassification.from_config(config)
        scramble(model, seed=1).save_pretrained(folder)
        load_tokenizer(tiny_tokenizer_folder).save(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_reward_folder(make_reward_folder: Callable[..., Path]) -> Path:
    """Return the folder of a random one-label Llama classifier with the same tokenizer."""
    return make_reward_folder()
