"""The usual parts of a task, built from its configuration. Shape letter: A actions."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from textgym.callables import load_callable
from textgym.config import TextEnvConfig
from textgym.masks import CheckedMask, MaskFn, MinNewTokensMask, combine_masks
from textgym.tokenizer import Tokenizer
from textgym.turns import Responder

_OF_A_TEACHER = (
    "teacher",
    "teacher_feedback",
    "teacher_store",
    "teacher_budget",
    "teacher_prices",
)


def refuse_idle(config: TextEnvConfig) -> None:
    """Refuse arguments about what is not there: they would do nothing, and mislead.

    Raises:
        ValueError: Columns without a data set, or knobs of a teacher whom the reward does not ask.
    """
    names = [] if "teacher" in config.reward else list(_OF_A_TEACHER)
    if config.dataset is None:
        names.append("dataset_columns")
    defaults = {field.name: field.default for field in fields(TextEnvConfig)}
    for name in names:
        if (value := getattr(config, name)) != defaults[name]:
            needed = "a dataset" if name == "dataset_columns" else "reward='teacher'"
            raise ValueError(
                f"{name}={value!r} needs {needed}, got reward={config.reward!r} and "
                f"dataset={config.dataset!r}"
            )


def action_tokens_from(config: TextEnvConfig, tokenizer: Tokenizer) -> np.ndarray:
    """Return (A,) int64, action to token id: "3,5,8-12", or the whole vocabulary.

    Raises:
        ValueError: `action_tokens` is not of that form.
    """
    if config.action_tokens is None:
        return np.arange(tokenizer.vocab_size, dtype=np.int64)
    tokens: list[int] = []
    for part in config.action_tokens.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ValueError(
                f"action_tokens must be ids and ranges such as '3,5,8-12', "
                f"got {config.action_tokens!r}"
            )
        tokens.extend(range(int(first), int(last or first) + 1))
    return np.array(tokens, dtype=np.int64)


def mask_from(
    config: TextEnvConfig, action_tokens: np.ndarray, eos_ids: tuple[int, ...]
) -> MaskFn | None:
    """Return the mask of `min_new_tokens` and `action_mask`, None where neither is set.

    Raises:
        ValueError: `min_new_tokens` where every action ends a response: none would be left.
    """
    masks: list[MaskFn] = []
    if config.min_new_tokens > 0:
        if np.isin(action_tokens, list(eos_ids)).all():
            raise ValueError(
                f"min_new_tokens={config.min_new_tokens} masks the end tokens and leaves no action "
                f"at first: expected an action that is none of {eos_ids}, got "
                f"action_tokens={config.action_tokens!r}"
            )
        masks.append(MinNewTokensMask(config.min_new_tokens, action_tokens, eos_ids))
    if config.action_mask is not None:
        masks.append(load_callable(config.action_mask))
    combined = combine_masks(masks)
    if combined is None or config.action_mask is None:
        return combined
    return CheckedMask(combined, config.action_mask, len(action_tokens))


def responder_from(config: TextEnvConfig, tokenizer: Tokenizer) -> Responder | None:
    """Return what `responder` names, None where it is not set.

    Raises:
        ValueError: There is no such function, or what it returns answers nothing.
    """
    if config.responder is None:
        return None
    found: Responder = load_callable(config.responder)(tokenizer)
    if not hasattr(found, "replies"):
        raise ValueError(
            f"responder {config.responder!r} must return a Responder (max_turn_tokens, "
            f"max_reply_tokens, replies), got {type(found).__name__}"
        )
    return found
