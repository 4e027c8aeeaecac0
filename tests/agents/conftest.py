"""Fixtures of the agent's tests: a small text environment with a language model as reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest


class ShareOfEvenTokens:
    """A reward that any policy can change: the share of even token ids in a response."""

    name = "even"

    def __call__(self, episodes: Sequence[Any]) -> np.ndarray:
        return np.array(
            [np.mean([i % 2 == 0 for i in e.response_ids]) for e in episodes], dtype=np.float32
        )


@pytest.fixture(scope="session")
def make_text_task(tiny_model_folder: Path) -> Callable[..., Callable[[Any], Any]]:
    """Return `make(actions=None) -> build_task`: a task around the tiny Llama."""
    from textgym.masks import MinNewTokensMask
    from textgym.models.causal_reference import CausalLMReference
    from textgym.prompts import PromptList
    from textgym.task import TextTask
    from textgym.tokenizer import load_tokenizer

    def make(actions: Sequence[int] | None = None) -> Callable[[Any], Any]:
        def build_task(config: Any) -> TextTask:
            tokenizer = load_tokenizer(tiny_model_folder)
            tokens = np.arange(tokenizer.vocab_size) if actions is None else np.array(actions)
            mask = MinNewTokensMask(config.min_new_tokens, tokens, tokenizer.eos_ids)
            return TextTask(
                config=replace(config, reference_model=str(tiny_model_folder)),
                prompts=PromptList(["a dog", "my friend said that", "the house"]),
                tokenizer=tokenizer,
                reward=ShareOfEvenTokens(),
                make_reference=lambda rows, width: CausalLMReference(
                    tiny_model_folder, rows, width, None if actions is None else tokens, "cpu"
                ),
                eos_ids=(*tokenizer.eos_ids, 7, 11, 20),
                action_tokens=tokens,
                mask_fn=mask if config.min_new_tokens else None,
            )

        return build_task

    return make


@pytest.fixture
def make_text_env(make_text_task: Callable[..., Any]) -> Callable[..., Any]:
    """Return `make(num_envs=6, actions=None, **kwargs) -> TokenVectorEnv`."""
    from textgym.vector_env import TokenVectorEnv

    def make(num_envs: int = 6, actions: Sequence[int] | None = None, **kwargs: Any) -> Any:
        settings = {"max_prompt_tokens": 12, "max_new_tokens": 6, "kl_coef": 0.1, **kwargs}
        return TokenVectorEnv(make_text_task(actions), num_envs, **settings)

    return make


class GoldOfEvenTokens(ShareOfEvenTokens):
    """The same as a gold utility."""

    name = "gold"


@pytest.fixture
def make_teacher_env(tiny_model_folder: Path) -> Callable[..., Any]:
    """Return `make(store=None, **kwargs) -> TokenVectorEnv`: six rows, paid by a noisy teacher."""
    from textgym.prompts import PromptList
    from textgym.task_models import text_task
    from textgym.vector_env import TokenVectorEnv

    def build_task(config: Any) -> Any:
        folder = str(tiny_model_folder)
        config = replace(config, reference_model=folder, tokenizer=folder)
        prompts = PromptList(["a dog", "my friend said that", "the house"])
        task = text_task(config, prompts=prompts, gold=GoldOfEvenTokens(), gold_scale=(0.5, 0.2))
        return replace(task, eos_ids=(*task.eos_ids, *range(7, 60, 4)))

    def make(store: Path | None = None, **kwargs: Any) -> Any:
        named = {} if store is None else {"teacher_store": str(store)}
        knobs = "score_noise=0.2,drift=0.1,delay=1,skip_rate=0.1"
        settings: dict[str, Any] = {"reward": "teacher", "teacher": knobs, "teacher_budget": 14}
        settings |= {"max_prompt_tokens": 12, "max_new_tokens": 6, "reward_timing": "deferred"}
        return TokenVectorEnv(build_task, 6, **{**settings, **named, **kwargs})

    return make
