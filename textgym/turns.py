"""Episodes of several turns: what an environment that answers is asked, and what it says.

A `Responder` is the other side of a conversation: a customer, an opponent, a tool, a stream of
words. When the agent's turn ends, it writes tokens into the state that are no actions, or ends
the episode, or both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from textgym.types import Episode, Prompt, TokenIds, check_finish_reason

# Seeds of replies are drawn below this, which is int64's end.
_SEED_LIMIT = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one side said without a break.

    Attributes:
        is_action: True for the agent's turn, False for the environment's.
        ids: Token ids, at least one; an end token that closed the agent's turn is among them.
    """

    is_action: bool
    ids: TokenIds


@dataclass(frozen=True, kw_only=True)
class OpenEpisode:
    """An episode whose agent has just ended a turn: all that a reply may depend on.

    Attributes:
        prompt: The item that the episode began with.
        prompt_ids: Token ids of the prompt as the agent saw it.
        turns: All that was said since, the agent's turns and the environment's in alternation; the
            first and the last are the agent's.
        end: What ended the agent's turn: "eos", "stop", or "length" for a cap.
        seed: The episode's own seed of replies, at least 0.
    """

    prompt: Prompt
    prompt_ids: TokenIds
    turns: tuple[Turn, ...]
    end: str
    seed: int

    @property
    def num_turns(self) -> int:
        """The agent's turns so far, at least 1."""
        return (len(self.turns) + 1) // 2

    def generator(self) -> np.random.Generator:
        """Return a fresh generator for this reply, a pure function of `seed` and `num_turns`."""
        return np.random.default_rng((self.seed, self.num_turns))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the environment answers: words, an end, or last words and an end.

    Attributes:
        ids: Token ids written behind the agent's turn; they are no actions.
        finish_reason: Ends the episode, a word of a-z and "_"; None where it goes on, which needs
            `ids`.
    """

    ids: TokenIds = ()
    finish_reason: str | None = None

    def __post_init__(self) -> None:
        """Refuse a reply that neither says anything nor ends the episode."""
        if self.finish_reason is not None:
            check_finish_reason(self.finish_reason)
        elif not self.ids:
            raise ValueError("a reply must hold token ids or a finish reason, got neither")


class Responder(Protocol):
    """The environment's side of an episode of several turns; see `TextTask.responder`.

    A reply is a pure function of the `OpenEpisode`: it keeps nothing between calls, so that
    `get_state` and `set_state` return to any moment exactly. What it has to remember (a mood,
    what was said) it works out from the turns again; what is random comes from
    `OpenEpisode.generator`.

    Attributes:
        max_turn_tokens: Longest turn of the agent, at least 1; reaching it ends the turn.
        max_reply_tokens: Most tokens that the environment says in one episode, at least 1; the
            observation has room for them. A reply that no longer fits is not written, and the
            episode ends with "overflow".
    """

    @property
    def max_turn_tokens(self) -> int:
        """See the class."""
        ...

    @property
    def max_reply_tokens(self) -> int:
        """See the class."""
        ...

    def replies(self, episodes: Sequence[OpenEpisode]) -> Sequence[Reply]:
        """Return one reply for each episode whose turn has ended, in their order."""
        ...


def split_turns(ids: Sequence[int], is_action: Sequence[bool]) -> tuple[Turn, ...]:
    """Cut tokens where the side that wrote them changes.

    Args:
        ids: T token ids behind a prompt.
        is_action: T flags, True where the agent wrote the token.
    """
    turns: list[Turn] = []
    start = 0
    for end in range(1, len(ids) + 1):
        if end == len(ids) or is_action[end] != is_action[start]:
            part = tuple(int(i) for i in ids[start:end])
            turns.append(Turn(is_action=bool(is_action[start]), ids=part))
            start = end
    return tuple(turns)


def episode_turns(episode: Episode) -> tuple[Turn, ...]:
    """Return the turns of a finished episode; one where the environment never answers."""
    flags = episode.response_is_action or (True,) * len(episode.response_ids)
    return split_turns(episode.response_ids, flags)


def draw_reply_seed(generator: np.random.Generator, responder: Responder | None) -> int:
    """Return the seed of an episode's replies; 0, and no draw, where nobody answers."""
    return 0 if responder is None else int(generator.integers(_SEED_LIMIT))
