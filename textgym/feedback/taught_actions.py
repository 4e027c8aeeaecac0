"""What demonstrations and corrections teach action by action: supervised training of a policy.

`trl_formats.supervised_rows` gives whole texts; this also serves trajectories and corrections of
single actions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textgym.feedback.records import Correction, Demonstration, FeedbackRecord
from textgym.feedback.responses import Action, Response


@dataclass(frozen=True, kw_only=True)
class TaughtAction:
    """What the policy saw, and what it should do there.

    Attributes:
        seen: Token ids of the prompt and of the response so far; in environments without text the
            flattened observation, as floats.
        action: The token, or the step's action.
    """

    seen: tuple[int, ...] | tuple[float, ...]
    action: Action


def taught_actions(records: Iterable[FeedbackRecord]) -> Iterator[TaughtAction]:
    """Yield every action of demonstrations and of better responses, and every better action.

    Args:
        records: Records of any kind; the others are left out.

    Raises:
        ValueError: Text without token ids: somebody wrote it, no policy sampled it.
    """
    for record in records:
        if isinstance(record, Correction) and record.action_index is not None:
            assert record.better_action is not None  # the record says so
            seen = _seen(record, record.response, record.action_index)
            yield TaughtAction(seen=seen, action=record.better_action)
        elif isinstance(record, Correction) and record.better is not None:
            yield from _every_action(record, record.better)
        elif isinstance(record, Demonstration):
            yield from _every_action(record, record.response)


def _every_action(record: FeedbackRecord, response: Response) -> Iterator[TaughtAction]:
    segment = response.segment
    for index, action in enumerate(segment.actions if segment else _token_ids(record, response)):
        yield TaughtAction(seen=_seen(record, response, index), action=action)


def _seen(
    record: FeedbackRecord, response: Response, index: int
) -> tuple[int, ...] | tuple[float, ...]:
    if response.segment is not None:
        return response.segment.observations[index]
    return (*response.prompt.token_ids, *_token_ids(record, response)[:index])


def _token_ids(record: FeedbackRecord, response: Response) -> tuple[int, ...]:
    if not response.token_ids or not response.prompt.token_ids:
        raise ValueError(
            f"expected token ids of prompt and response in record {record.record_id!r}, got text "
            f"{response.text[:80]!r}: train on `supervised_rows`, which are text"
        )
    return tuple(response.token_ids)
