"""Models and tokenizer that belong together, and those that do not."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

import textgym  # noqa: F401
from textgym.tokenizer import load_tokenizer


def test_a_tokenizer_whose_ids_mean_other_tokens_to_the_reference(
    tiny_tokenizer_folder: Path,
) -> None:
    with pytest.raises(ValueError, match="vocabulary mismatch: token .* expected a tokenizer"):
        gym.make("RLHF-Summarize-v0", tokenizer=str(tiny_tokenizer_folder))


def test_a_copy_of_the_references_tokenizer(tmp_path: Path) -> None:
    env = gym.make("RLHF-Summarize-v0")
    env.unwrapped.tokenizer.save(tmp_path)
    copy = gym.make("RLHF-Summarize-v0", tokenizer=str(tmp_path))
    assert load_tokenizer(tmp_path).vocab_size == env.unwrapped.tokenizer.vocab_size
    assert copy.reset(seed=0)[1]["prompt"] == env.reset(seed=0)[1]["prompt"]
