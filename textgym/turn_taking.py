"""Who speaks next: ends of turns, replies written into rows, ends of episodes of several turns.

Shape letters: N rows, L width.
"""

from __future__ import annotations

import numpy as np

from textgym.mdp_rows import MDPRows
from textgym.response_end import ResponseEnd
from textgym.task import TextTask
from textgym.turns import OpenEpisode, Reply, Responder, split_turns

OVERFLOW = "overflow"


class TurnTaking:
    """Asks the responder wherever a turn has ended and writes what it says.

    It stands in the place of a `ResponseEnd`: there the end of a response is the end of the
    episode, here it is the end of a turn.
    """

    def __init__(
        self, turn_end: ResponseEnd, responder: Responder, max_new_tokens: int, vocab_size: int
    ) -> None:
        """Keep the parts; `max_new_tokens` caps the actions of an episode."""
        self._turn_end, self._responder = turn_end, responder
        self._max_new_tokens, self._vocab_size = max_new_tokens, vocab_size

    def reasons(
        self, rows: MDPRows, tokens: np.ndarray, acting: np.ndarray | None
    ) -> dict[int, str]:
        """Return row to finish reason for the rows whose episode ends, and write all replies.

        Args:
            rows: The state after the tokens were written; gains the replies.
            tokens: (N,) int64, the newest token of each row.
            acting: (N,) bool, False where the row wrote nothing; None for all True.

        Raises:
            ValueError: Another number of replies than were asked for, a token outside the
                vocabulary, or a reply longer than all replies of an episode may be.
        """
        ends = self._turn_end.reasons(rows, tokens, acting)
        if not ends:
            return {}
        asked = [_open_episode(rows, row, end) for row, end in ends.items()]
        replies = list(self._responder.replies(asked))
        if len(replies) != len(asked):
            raise ValueError(f"the responder gave {len(replies)} replies, expected {len(asked)}")
        for row, reply in zip(ends, replies, strict=True):
            self._check(row, reply)
        found = {}
        for row, reply in zip(ends, replies, strict=True):
            reason = self._take(rows, row, reply)
            if reason is not None:
                found[row] = reason
        return found

    def _check(self, row: int, reply: Reply) -> None:
        outside = [i for i in reply.ids if not 0 <= i < self._vocab_size]
        if outside:
            raise ValueError(
                f"the reply in row {row} must hold ids in [0, {self._vocab_size}), "
                f"got {outside[0]!r}"
            )
        if len(reply.ids) > self._responder.max_reply_tokens:
            raise ValueError(
                f"the reply in row {row} has {len(reply.ids)} tokens, expected at most "
                f"max_reply_tokens={self._responder.max_reply_tokens} in a whole episode"
            )

    def _take(self, rows: MDPRows, row: int, reply: Reply) -> str | None:
        """Write one reply; return why the episode ends, None where it goes on."""
        said = rows.lengths[row] - rows.prompt_lengths[row] - rows.num_actions[row]
        fits = said + len(reply.ids) <= self._responder.max_reply_tokens
        if fits:
            rows.answer(row, reply.ids)
        if reply.finish_reason is not None:
            return reply.finish_reason
        if not fits:
            return OVERFLOW
        return "length" if rows.num_actions[row] >= self._max_new_tokens else None


def turn_end_of(task: TextTask) -> ResponseEnd:
    """Return what says where a turn of the agent ends, the whole response where nobody answers."""
    turn_limit = None if task.responder is None else task.responder.max_turn_tokens
    limit = task.config.max_new_tokens
    return ResponseEnd(task.tokenizer, task.eos_ids, task.stop, limit, turn_limit)


def ends_of(task: TextTask) -> ResponseEnd | TurnTaking:
    """Return what says where a task's episodes end."""
    end, responder = turn_end_of(task), task.responder
    if responder is None:
        return end
    return TurnTaking(end, responder, task.config.max_new_tokens, task.tokenizer.vocab_size)


def _open_episode(rows: MDPRows, row: int, end: str) -> OpenEpisode:
    prompt = rows.prompts[row]
    assert prompt is not None
    split, length = int(rows.prompt_lengths[row]), int(rows.lengths[row])
    ids = rows.ids[row, :length].tolist()
    return OpenEpisode(
        prompt=prompt,
        prompt_ids=tuple(ids[:split]),
        turns=split_turns(ids[split:], rows.is_action[row, split:length].tolist()),
        end=end,
        seed=int(rows.reply_seeds[row]),
    )
