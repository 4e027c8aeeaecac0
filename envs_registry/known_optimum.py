"""Which arguments leave the known optimum of a tiny task as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textgym.config import TextEnvConfig
from textgym.rewards.base import RewardFn
from textgym.task import TextTask

# What a tiny task has of its own: its data, its models, and nobody who answers.
FIXED = (
    "num_prompts",
    "dataset",
    "dataset_columns",
    "prompt_template",
    "reference_model",
    "reward_model",
    "token_aggregate",
    "responder",
)


def refuse_fixed(config: TextEnvConfig, names: Sequence[str]) -> None:
    """Refuse arguments about what a task has of its own: they would do nothing, and mislead.

    Raises:
        ValueError: One of them is not None.
    """
    for name in names:
        if (value := getattr(config, name)) is not None:
            raise ValueError(f"{name} must be None here: it is fixed, got {value!r}")


def refuse_tokenizer(config: TextEnvConfig, own: str) -> None:
    """Refuse other symbols than a task's own.

    Raises:
        ValueError: `tokenizer` names others.
    """
    if config.tokenizer not in (None, own):
        raise ValueError(f"tokenizer must be None or {own!r}, got {config.tokenizer!r}")


def differences(
    task: TextTask, score: RewardFn, action_tokens: np.ndarray | None = None
) -> tuple[str, ...]:
    """Return the arguments, "name=value", with which an optimum worked out for `score` is another.

    None of them, and responses are of all actions, end where the task says, and are paid `score`.

    Args:
        task: The task as it was made.
        score: What the optimum was worked out for.
        action_tokens: (A,) int64, the actions of the optimum; None where nothing changes them.
    """
    has_all = action_tokens is None or np.array_equal(task.action_tokens, action_tokens)
    config = task.config
    is_other = {
        "reward": task.reward is not score,
        "action_tokens": not has_all,
        "action_mask": config.action_mask is not None,
        "min_new_tokens": config.min_new_tokens > 0 and len(task.eos_ids) > 0,
        "missing_eos_score": config.missing_eos_score is not None,
        "stop": len(task.stop) > 0,
    }
    return tuple(
        f"{name}={getattr(config, name)!r}" for name, differs in is_other.items() if differs
    )


def require_known(found: Sequence[str]) -> None:
    """Refuse to solve a task that `differences` found to be another.

    Raises:
        ValueError: It is.
    """
    if found:
        raise ValueError(
            f"the solution is of the environment's own score, of all actions and of no end but its "
            f"own, got {', '.join(found)}"
        )
