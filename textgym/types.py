"""The records that every layer shares: prompts and episodes. Knows no tokenizer and no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textgym.episode_html import episode_table

TokenIds = tuple[int, ...]

FINISH_REASONS = ("eos", "stop", "length")


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
        response_ids: Token ids of the response, the end token included where there is one.
        response: Decoded response, without special tokens.
        finish_reason: One of `FINISH_REASONS`.
        rewards: Reward paid at each step, one per response token; empty where not recorded.
        ref_log_probs: log pi_ref(a|s) at each step in nats; empty where not recorded.
        token_rewards: The learned reward of each response token, of which the score's part by the
            reward model is the mean or the sum; empty unless rewards are paid by token.
        score: The reward function's number for the episode, None before it was scored.
        gold_score: Hidden true utility, None where the task has none.
        reward_terms: Named parts of the final step's reward; they sum to it.
        query_id: The question by which a teacher was asked for the score; empty for none.
        pieces: Text of each response token, for people to read; empty where not recorded.
    """

    prompt: Prompt
    prompt_ids: TokenIds
    response_ids: TokenIds
    response: str
    finish_reason: str
    rewards: tuple[float, ...] = ()
    ref_log_probs: tuple[float, ...] = ()
    token_rewards: tuple[float, ...] = ()
    score: float | None = None
    gold_score: float | None = None
    reward_terms: Mapping[str, float] = field(default_factory=dict)
    query_id: str = ""
    pieces: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        """Reject a finish reason that no environment gives."""
        if self.finish_reason not in FINISH_REASONS:
            raise ValueError(
                f"finish_reason must be one of {FINISH_REASONS}, got {self.finish_reason!r}"
            )

    def _repr_html_(self) -> str:
        """Return the episode for a notebook, its tokens coloured by their rewards."""
        return episode_table([self])
