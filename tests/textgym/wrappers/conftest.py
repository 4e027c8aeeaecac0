"""A task of three symbols, small enough to enumerate: say "a", and be brief."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import gymnasium as gym
import numpy as np
import pytest

from tests import two_turns
from textgym.config import TextEnvConfig
from textgym.masks import MinNewTokensMask
from textgym.prompts import PromptList
from textgym.task import TextTask
from textgym.token_env import TokenEnv
from textgym.tokenizer import SymbolTokenizer
from textgym.types import Episode
from textgym.vector_env import TokenVectorEnv

SAY_A = "SayA-v0"
P, A, B, EOS, EMPTY = range(5)
TOKENS = np.array([A, B, EOS])


class SaidA:
    """One where "a" is among the words, less a tenth for each of them."""

    name = "said_a"

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        words = [episode.response.split() for episode in episodes]
        return np.array([float("a" in w) - 0.1 * len(w) for w in words])


def build_task(config: TextEnvConfig) -> TextTask:
    return TextTask(
        config=config,
        prompts=PromptList(["p", "p p"]),
        tokenizer=SymbolTokenizer(["p", "a", "b", "<eos>"]),
        reward=SaidA(),
        gold=SaidA(),
        eos_ids=(EOS,),
        action_tokens=TOKENS,
        mask_fn=MinNewTokensMask(config.min_new_tokens, TOKENS, (EOS,)),
    )


DEFAULTS = {"max_prompt_tokens": 2, "max_new_tokens": 3}


class SayAEnv(TokenEnv):
    """One row."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


class SayAVectorEnv(TokenVectorEnv):
    """N rows."""

    task_builder = staticmethod(build_task)
    default_kwargs = DEFAULTS


@pytest.fixture(autouse=True, scope="session")
def registered() -> Iterator[None]:
    two_turns.register()
    gym.register(SAY_A, entry_point=SayAEnv, vector_entry_point=SayAVectorEnv)  # type: ignore[arg-type]
    yield
    del gym.registry[SAY_A]


def responses() -> list[tuple[int, ...]]:
    """Every response, as actions: 0 says "a", 1 says "b", 2 ends."""
    ended = [(*body, 2) for length in range(3) for body in product((0, 1), repeat=length)]
    return [*ended, *product((0, 1), repeat=3)]
