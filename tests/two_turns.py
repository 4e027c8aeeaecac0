"""A conversation of two turns over seven symbols, small enough to enumerate, without any model.

The agent writes "a", "b" or the end token, at most two tokens a turn. To a first turn that begins
with "a" the other side says "x", to "b" it says "y" once or twice, to silence it hangs up
("given_up"). The second turn has to begin with the other letter: "b" after "x", "a" after "y". Then
it says "x" as its last word and the case is "solved", else it leaves without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.config import TextEnvConfig
from textgym.prompts import PromptList
from textgym.reference import TableReference
from textgym.task import TextTask
from textgym.token_env import TokenEnv
from textgym.tokenizer import SymbolTokenizer
from textgym.turns import OpenEpisode, Reply
from textgym.types import Episode
from textgym.vector_env import TokenVectorEnv

TOKENIZER = SymbolTokenizer(["p", "q", "a", "b", "x", "y", "<eos>"])
P, Q, A, B, X, Y, EOS, EMPTY = range(8)
ACTION_TOKENS = (A, B, EOS)
MAX_TURN_TOKENS, MAX_REPLY_TOKENS, MAX_NEW_TOKENS = 2, 3, 4
ENV_ID = "TwoTurns-v0"


@dataclass(frozen=True, kw_only=True)
class TwoTurns:
    """The other side; see the module's docstring."""

    max_turn_tokens: int = MAX_TURN_TOKENS
    max_reply_tokens: int = MAX_REPLY_TOKENS

    def replies(self, episodes: Sequence[OpenEpisode]) -> list[Reply]:
        return [self.reply(episode) for episode in episodes]

    def reply(self, episode: OpenEpisode) -> Reply:
        first = episode.turns[0].ids[0]
        if episode.num_turns == 2:
            is_other = {first, episode.turns[2].ids[0]} == {A, B}
            return Reply(ids=(X,), finish_reason="solved") if is_other else gave_up()
        if first == EOS:
            return gave_up()
        words = 1 + int(episode.generator().integers(2))
        return Reply(ids=(X,) if first == A else (Y,) * words)


def gave_up() -> Reply:
    return Reply(finish_reason="given_up")


class Solved:
    """One for a solved case, less a tenth for each token that the agent wrote."""

    name = "solved"

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        return np.array([score_of(e.finish_reason, e.action_ids) for e in episodes])


def score_of(finish_reason: str, action_ids: Sequence[int]) -> float:
    return float(finish_reason == "solved") - 0.1 * len(action_ids)


def table(state: tuple[int, ...]) -> np.ndarray:
    """Logits of the three actions: a function of the whole state, environment tokens included."""
    weighted = sum((place + 1) * token for place, token in enumerate(state))
    return np.array([np.sin(weighted), np.cos(2 * weighted), 0.3])


def make_build_task(responder: Any = None, **changes: Any) -> Any:
    """Return `build_task`; `changes` replace parts of the task."""

    def build_task(config: TextEnvConfig) -> TextTask:
        tokens = np.array(ACTION_TOKENS)
        parts: dict[str, Any] = {
            "config": config,
            "prompts": PromptList(["p", "p q"]),
            "tokenizer": TOKENIZER,
            "reward": Solved(),
            "gold": Solved(),
            "make_reference": lambda rows, width: TableReference(table, tokens),
            "eos_ids": (EOS,),
            "action_tokens": tokens,
            "stop": config.stop_strings,
            "responder": TwoTurns() if responder is None else responder,
            **changes,
        }
        return TextTask(**parts)

    return build_task


DEFAULTS = {"max_prompt_tokens": 2, "max_new_tokens": MAX_NEW_TOKENS, "kl_coef": 0.5}


class TwoTurnsEnv(TokenEnv):
    """One row."""

    task_builder = staticmethod(make_build_task())
    default_kwargs = DEFAULTS


class TwoTurnsVectorEnv(TokenVectorEnv):
    """N rows."""

    task_builder = staticmethod(make_build_task())
    default_kwargs = DEFAULTS


def register() -> None:
    """Register `ENV_ID`, once."""
    if ENV_ID not in gym.registry:
        gym.register(
            ENV_ID,
            entry_point="tests.two_turns:TwoTurnsEnv",
            vector_entry_point="tests.two_turns:TwoTurnsVectorEnv",
        )


def turns() -> list[tuple[int, ...]]:
    """Every turn that the rules allow: an end token, or up to two letters that may end in one."""
    letters = (A, B)
    return [(EOS,), *((i, EOS) for i in letters), *((i, j) for i in letters for j in letters)]


def conversations(prompt: tuple[int, ...], words: int) -> Iterator[tuple[tuple, tuple, str]]:
    """Every conversation by the rules in words, from nothing of the library.

    Args:
        prompt: Token ids of the prompt.
        words: How often "y" is said.

    Yields:
        Token ids of the whole state at the end, the positions of the actions, and the reason.
    """
    for first in turns():
        start = len(prompt)
        own = tuple(range(start, start + len(first)))
        if first == (EOS,):
            yield (*prompt, *first), own, "given_up"
            continue
        said = (X,) if first[0] == A else (Y,) * words
        state = (*prompt, *first, *said)
        for second in turns():
            more = tuple(range(len(state), len(state) + len(second)))
            is_solved = {first[0], second[0]} == {A, B}
            end = (*state, *second, X) if is_solved else (*state, *second)
            yield end, own + more, "solved" if is_solved else "given_up"
