"""Masks are pure functions of rows, and combine."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.config import TextEnvConfig
from textgym.masks import AllOfMask, CheckedMask, MinNewTokensMask, combine_masks
from textgym.task_parts import action_tokens_from, mask_from
from textgym.tokenizer import SymbolTokenizer

IDS = np.zeros((2, 4), dtype=np.int64)


def test_end_tokens_are_masked_until_the_least_length() -> None:
    mask = MinNewTokensMask(2, np.array([7, 3, 9]), (3, 9))
    allowed = mask(IDS, np.array([2, 3]), np.array([1, 1]))
    assert allowed.tolist() == [[True, False, False], [True, True, True]]


def test_masks_combine_by_and() -> None:
    one = MinNewTokensMask(9, np.arange(3), (0,))
    other = MinNewTokensMask(9, np.arange(3), (2,))
    assert combine_masks([]) is None and combine_masks([one]) is one
    both = AllOfMask([one, other])(IDS, np.array([1, 1]), np.array([1, 1]))
    assert both.tolist() == [[False, True, False]] * 2


def test_a_users_mask_is_checked() -> None:
    lengths = np.array([1, 2])
    with pytest.raises(ValueError, match=r"'m:f' must return bool of shape \(2, 3\), got int64"):
        CheckedMask(lambda *rows: np.ones((2, 3), dtype=np.int64), "m:f", 3)(IDS, lengths, lengths)
    with pytest.raises(ValueError, match="allows no action in row 0 of length 1"):
        CheckedMask(lambda *rows: np.zeros((2, 3), bool), "m:f", 3)(IDS, lengths, lengths)


def test_parts_from_the_configuration() -> None:
    tokenizer = SymbolTokenizer(["a", "b", "c", "d", "<eos>"])
    config = TextEnvConfig(action_tokens="3, 0-1,4", min_new_tokens=1)
    tokens = action_tokens_from(config, tokenizer)
    assert tokens.tolist() == [3, 0, 1, 4]
    mask = mask_from(config, tokens, (4,))
    assert mask is not None
    assert mask(IDS, np.array([1, 1]), np.array([1, 1]))[0].tolist() == [True, True, True, False]
    assert mask_from(TextEnvConfig(), tokens, (4,)) is None
    with pytest.raises(ValueError, match="'3,5,8-12', got '3,x'"):
        action_tokens_from(TextEnvConfig(action_tokens="3,x"), tokenizer)
