"""The records that every layer shares: prompts and episodes. Knows no tokenizer and no model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from textgym.episode_html import episode_table

TokenIds = tuple[int, ...]

# An environment that answers (`textgym.turns`) adds "overflow" and the reasons of its own.
FINISH_REASONS = ("eos", "stop", "length")
ENDED_METRIC = "ended_"  # before a reason: the share of episodes that ended for it
_REASON = re.compile(r"[a-z][a-z_]*")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One item of a data source.

    Attributes:
        prompt_id: Index of the item in its source, at least 0.
        text: The rendered prompt, exactly what is tokenised.
        references: Human-written responses, possibly none.
        facts: What the task's gold utility knows about the item; opaque to everything else.
        messages: The conversation that `text` is a rendering of (`role`, `content`), so that a
            reward model may read it in its own form; empty where there was none.
    """

    prompt_id: int
    text: str
    references: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One prompt and one finished response, with what the environment paid for it.

    Attributes:
        prompt: The item that the episode answered.
        prompt_ids: Token ids of the prompt as the environment showed it (after truncation).
        response_ids: Token ids of the response, the end token included where there is one; all
            that stands behind the prompt, also what the environment answered.
        response: Decoded response, without special tokens.
        finish_reason: One of `FINISH_REASONS`, or what an environment that answers says instead.
        response_is_action: Whether the agent wrote it, for each of `response_ids`; empty where
            it wrote all of them.
        rewards: Reward paid at each step, one per action; empty where not recorded.
        ref_log_probs: log pi_ref(a|s) at each step in nats; empty where not recorded.
        token_rewards: The learned reward of each response token, of which the score's part by the
            reward model is the mean or the sum; empty unless rewards are paid by token.
        score: The reward function's number for the episode, None before it was scored.
        gold_score: Hidden true utility, None where the task has none.
        reward_terms: Named parts of the final step's reward; they sum to it.
        regret: The most that could be expected at its beginning less what the environment paid,
            None where the optimum is not known.
        query_id: The question by which a teacher was asked for the score; empty for none.
        pieces: Text of each response token, for people to read; empty where not recorded.
    """

    prompt: Prompt
    prompt_ids: TokenIds
    response_ids: TokenIds
    response: str
    finish_reason: str
    response_is_action: tuple[bool, ...] = ()
    rewards: tuple[float, ...] = ()
    ref_log_probs: tuple[float, ...] = ()
    token_rewards: tuple[float, ...] = ()
    score: float | None = None
    gold_score: float | None = None
    reward_terms: Mapping[str, float] = field(default_factory=dict)
    regret: float | None = None
    query_id: str = ""
    pieces: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        """Reject a finish reason that no environment gives, and flags that do not fit."""
        check_finish_reason(self.finish_reason)
        flags, ids = len(self.response_is_action), len(self.response_ids)
        if flags not in (0, ids):
            raise ValueError(f"response_is_action must hold 0 or {ids} flags, got {flags}")

    @property
    def action_ids(self) -> TokenIds:
        """Token ids of the actions: the response without what the environment answered."""
        if not self.response_is_action:
            return self.response_ids
        pairs = zip(self.response_ids, self.response_is_action, strict=True)
        return tuple(token for token, is_action in pairs if is_action)

    def _repr_html_(self) -> str:
        """Return the episode for a notebook, its tokens coloured by their rewards."""
        return episode_table([self])


def check_finish_reason(reason: str) -> None:
    """Raise ValueError unless `reason` is a word of a-z and "_"."""
    if not isinstance(reason, str) or not _REASON.fullmatch(reason):
        raise ValueError(
            f"finish_reason must be one of {FINISH_REASONS} or another word of a-z and '_', "
            f"got {reason!r}"
        )


def own_reasons(reasons: Iterable[str]) -> tuple[str, ...]:
    """Return the reasons among these that only an environment that answers gives, sorted."""
    return tuple(sorted({reason for reason in reasons if reason} - set(FINISH_REASONS)))
