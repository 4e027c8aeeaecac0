"""Folders of random weights in the shape of published models, for where nothing can be downloaded.

A byte-level BPE tokenizer; GPT-2 without a padding token and with dropout in its config; Qwen2 with
a chat template, two end tokens, grouped keys and more embeddings than the tokenizer has ids.

python examples/random_weights.py qwen2 dialogues.jsonl.gz --output runs/random-qwen2
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerFast

from textgym.dataset_files import read_rows

TEXT_END, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_level_tokenizer(texts: list[str], size: int, kind: str) -> Any:
    """Train a tokenizer with the special tokens of the published one."""
    is_chat = kind == "qwen2"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = [TEXT_END, TURN_START, TURN_END] if is_chat else [TEXT_END]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=special[-1])
    if is_chat:
        tokenizer.pad_token, tokenizer.chat_template = TEXT_END, CHAT_TEMPLATE
    return tokenizer


def sizes(kind: str, width: int, layers: int, ids: int) -> dict[str, Any]:
    """Name the sizes as the architecture does."""
    if kind == "gpt2":
        return {"vocab_size": ids, "n_embd": width, "n_layer": layers, "n_head": width // 32}
    rows = -(-ids // 128) * 128 + 128  # published ones are padded, too
    layer = {"hidden_size": width, "intermediate_size": 8 * width // 3, "num_key_value_heads": 1}
    heads = {"num_hidden_layers": layers, "num_attention_heads": width // 32}
    return {"vocab_size": rows, "tie_word_embeddings": True, **layer, **heads}


def main(argv: list[str] | None = None) -> None:
    """Write one folder: tokenizer, config, weights, generation config."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=("gpt2", "qwen2"))
    parser.add_argument("data", help="rows with whole dialogues in `chosen`")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--ids", type=int, default=2000, help="size of the tokenizer")
    parser.add_argument("--width", type=int, default=160, help="a multiple of 32")
    parser.add_argument("--layers", type=int, default=4)
    args = parser.parse_args(argv)
    texts = [row["chosen"] for row in read_rows(args.data)]
    tokenizer = byte_level_tokenizer(texts, args.ids, args.kind)
    ends = sorted({tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(TEXT_END)})
    shape = sizes(args.kind, args.width, args.layers, len(tokenizer))
    config = AutoConfig.for_model(args.kind, **shape, bos_token_id=None, eos_token_id=ends)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    model.generation_config = GenerationConfig(eos_token_id=ends, do_sample=True)
    model.save_pretrained(args.output)
    tokenizer.save_pretrained(args.output)
    print(f"{model.num_parameters():,} random weights, end tokens {ends}: {args.output}")


if __name__ == "__main__":
    main()
