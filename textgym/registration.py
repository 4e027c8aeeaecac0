"""A user's own environment in one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym

from textgym.callables import callable_name
from textgym.config import TextEnvConfig
from textgym.task import TextTask
from textgym.task_models import text_task
from textgym.token_env import TokenEnv
from textgym.vector_env import TokenVectorEnv

_CALLABLE_ARGUMENTS = ("reward", "action_mask", "responder")


def build_task(config: TextEnvConfig) -> TextTask:
    """Return the task of a registered text environment: all of it is in its arguments."""
    return text_task(config)


class RegisteredTextEnv(TokenEnv):
    """One row of an environment made by `register_text_env`."""

    task_builder = staticmethod(build_task)


class RegisteredTextVectorEnv(TokenVectorEnv):
    """N rows of an environment made by `register_text_env`."""

    task_builder = staticmethod(build_task)


def register_text_env(
    id: str,
    *,
    prompts: str | Path | Callable[..., Any],
    reward: str | Callable[..., Any] = "model",
    **kwargs: Any,
) -> None:
    """Register a text environment, single and vector, with Gymnasium.

    Args:
        id: What `gym.make` is given, for example "MyTask-v0".
        prompts: A file (JSONL, JSONL.gz, anything that `datasets` reads), "hf:org/name", or a
            function at the top level of a module (or its "module:function" name) that returns a
            list of strings, dicts or Prompts, or a `PromptSource`; it is given those of `split`,
            `data_seed` and `num_prompts` that it has as parameters.
        reward: As `TextEnvConfig.reward`, or a function `f(episodes) -> list of floats`.
        **kwargs: Other defaults, see `TextEnvConfig`; `gym.make(id, ...)` may override them.

    Raises:
        TypeError: An unknown argument (the nearest known one is named), or prompts of another type.
        ValueError: A lambda or inner function, which no other process could find by its name.
    """
    if not isinstance(prompts, str | Path) and not callable(prompts):
        raise TypeError(
            "prompts must be a path, 'hf:org/name' or a function that returns them, got "
            f"{type(prompts).__name__}: {prompts!r:.60}"
        )
    defaults = {**kwargs, "reward": reward}
    for name in _CALLABLE_ARGUMENTS:
        if callable(defaults.get(name)):
            defaults[name] = callable_name(defaults[name])
    defaults["dataset"] = callable_name(prompts) if callable(prompts) else str(prompts)
    TextEnvConfig.from_kwargs(**defaults)
    gym.register(
        id,
        entry_point="textgym.registration:RegisteredTextEnv",
        vector_entry_point="textgym.registration:RegisteredTextVectorEnv",
        kwargs=defaults,
    )
