"""When a response, or a turn of it, ends and what is then recorded.

Shape letters: N rows, L width, V vocabulary.
"""

from __future__ import annotations

import numpy as np

from textgym.mdp_rows import MDPRows
from textgym.tokenizer import Tokenizer
from textgym.types import Episode

# A byte-fallback token may be one byte of a character of four.
_TOKENS_PER_CHARACTER = 4
_SPARE_TOKENS = 4


class ResponseEnd:
    """Finds the rows whose newest token ends their response, or their turn of it."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        eos_ids: tuple[int, ...],
        stop: tuple[str, ...],
        max_new_tokens: int,
        max_turn_tokens: int | None = None,
    ) -> None:
        """Prepare the look-up of end tokens and the tail that stop strings are sought in.

        Args:
            tokenizer: Decodes the tail.
            eos_ids: End tokens.
            stop: Stop strings.
            max_new_tokens: Most actions of an episode.
            max_turn_tokens: Most actions since the turn began, None for no such cap.
        """
        self._max_turn_tokens = max_turn_tokens
        self._tokenizer, self._stop, self._max_new_tokens = tokenizer, stop, max_new_tokens
        self._is_eos = np.zeros(tokenizer.vocab_size + 1, dtype=np.bool_)
        self._is_eos[list(eos_ids)] = True
        longest = max((len(text) for text in stop), default=0)
        self._tail = longest * _TOKENS_PER_CHARACTER + _SPARE_TOKENS

    def reasons(
        self, rows: MDPRows, tokens: np.ndarray, acting: np.ndarray | None
    ) -> dict[int, str]:
        """Return row to finish reason for the rows that end with the token just written.

        Args:
            rows: The state after the tokens were written.
            tokens: (N,) int64, the newest token of each row.
            acting: (N,) bool, False where the row wrote nothing; None for all True.
        """
        is_eos = self._is_eos[tokens]
        is_full = rows.num_actions >= self._max_new_tokens
        if self._max_turn_tokens is not None:
            is_full = is_full | (rows.lengths - rows.turn_starts >= self._max_turn_tokens)
        ends = is_eos | is_full
        if acting is not None:
            ends &= acting
        found = {int(row): "eos" if is_eos[row] else "length" for row in np.flatnonzero(ends)}
        if self._stop:
            for row in np.flatnonzero(~is_eos if acting is None else acting & ~is_eos):
                if self._has_stop(rows, int(row)):
                    found[int(row)] = "stop"
        return dict(sorted(found.items()))

    def _has_stop(self, rows: MDPRows, row: int) -> bool:
        end = int(rows.lengths[row])
        start = max(int(rows.turn_starts[row]), end - self._tail)
        text = self._tokenizer.decode(rows.ids[row, start:end].tolist())
        return any(stop in text for stop in self._stop)


def episode_of(
    rows: MDPRows, row: int, tokenizer: Tokenizer, finish_reason: str, *, has_turns: bool = False
) -> Episode:
    """Record a row's episode, unscored; a stop string stays in `response`, as its ids do.

    Args:
        rows: The state.
        row: Which.
        tokenizer: Decodes the response.
        finish_reason: Why it ended.
        has_turns: Whether to say which tokens are actions: the environment may have answered.
    """
    prompt = rows.prompts[row]
    if prompt is None:
        raise ValueError(f"row {row} has no episode: reset it first")
    split, end = int(rows.prompt_lengths[row]), int(rows.lengths[row])
    ids = rows.ids[row, :end].tolist()
    return Episode(
        prompt=prompt,
        prompt_ids=tuple(ids[:split]),
        response_ids=tuple(ids[split:]),
        response=tokenizer.decode(ids[split:]),
        finish_reason=finish_reason,
        response_is_action=tuple(rows.is_action[row, split:end].tolist()) if has_turns else (),
    )


def known_history(values: np.ndarray) -> tuple[float, ...]:
    """Return per-step values as floats; empty where one of them was never known (NaN)."""
    return () if np.isnan(values).any() else tuple(values.tolist())
