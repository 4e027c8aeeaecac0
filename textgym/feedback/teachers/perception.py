"""What a teacher sees of a response, and how good that is: utilities in units of gold_std.

Shape letter: K responses of a query.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from textgym.feedback.queries import Query
from textgym.feedback.responses import Response, Segment, Span
from textgym.feedback.teachers.config import TeacherConfig
from textgym.feedback.teachers.judges import Judge


class Perception:
    """Responses through one teacher's eyes: the asked part of them, its view, and myopia."""

    def __init__(self, config: TeacherConfig, judge: Judge) -> None:
        """Look with the config's view and `gamma`, and let `judge` say how good it is."""
        self._config, self._judge = config, judge

    def seen(self, query: Query) -> tuple[Response, ...]:
        """Return the responses, cut to the part that is asked about and to the view."""
        parts = [_asked_part(query, response) for response in query.responses]
        return tuple(self._view(part) for part in parts)

    def utilities(self, seen: tuple[Response, ...]) -> np.ndarray:
        """Return how good what was seen is, (K,) float64: gold above its mean, in gold_std.

        Raises:
            ValueError: The gold is not known.
        """
        gold = np.array([self._gold(response) for response in seen], dtype=np.float64)
        return (gold - self._config.gold_mean) / self._config.gold_std

    def _gold(self, response: Response) -> float:
        if self._config.gamma < 1:
            return _myopic(response, self._config.gamma)
        value = self._judge.gold(response)
        if value is None:
            raise ValueError(
                "a simulated teacher needs a gold_score (or a segment's true rewards, or a judge "
                f"that knows the gold of a part), got none for the response {response.text[:80]!r}"
            )
        return float(value)

    def _view(self, response: Response) -> Response:
        config = self._config
        if config.view == "whole":
            return response
        if response.segment is not None or config.view_unit == "action":
            return self._actions_of(response)
        if config.view_unit == "word":
            text = _some_words(response.text, config.view_size, is_first=config.view == "first")
        else:
            text = response.text[self._window(len(response.text))]
        return _with_text(response, text)

    def _actions_of(self, response: Response) -> Response:
        """The first or last few tokens or steps."""
        if response.segment is not None:
            window = self._window(len(response.segment.actions))
            return _with_segment(response, response.segment, window)
        if not response.token_ids:
            raise ValueError(
                "view_unit='action' needs the response's token_ids (or 'word', 'character'), got "
                f"none for {response.text[:80]!r}"
            )
        ids = response.token_ids[self._window(len(response.token_ids))]
        if len(ids) == len(response.token_ids):
            return response
        return replace(response, token_ids=ids, text=self._judge.decode(ids), gold_score=None)

    def _window(self, length: int) -> slice:
        size = min(self._config.view_size, length)
        return slice(0, size) if self._config.view == "first" else slice(length - size, length)


def _asked_part(query: Query, response: Response) -> Response:
    if query.action_index is None and query.span is None:
        return response
    span = query.span
    if query.action_index is not None:
        span = Span(start=query.action_index, end=query.action_index + 1)
    if response.segment is None or span is None or span.unit != "token":
        raise ValueError(
            "a simulated teacher judges spans and single actions of segments only (a part of a "
            f"text has no gold), got a {query.kind} query about {span!r}"
        )
    return _with_segment(response, response.segment, slice(span.start, span.end))


def _with_segment(response: Response, segment: Segment, window: slice) -> Response:
    if window == slice(0, len(segment.actions)):
        return response
    is_at_end = window.stop == len(segment.actions)
    part = Segment(
        observations=segment.observations[window],
        actions=segment.actions[window],
        true_rewards=segment.true_rewards[window],
        terminated=segment.terminated and is_at_end,
    )
    return replace(response, segment=part, gold_score=None)


def _with_text(response: Response, text: str) -> Response:
    if text == response.text:
        return response
    return replace(response, text=text, token_ids=(), gold_score=None)


def _some_words(text: str, size: int, *, is_first: bool) -> str:
    words = list(re.finditer(r"\S+", text))
    if len(words) <= size:
        return text
    return text[: words[size - 1].end()] if is_first else text[words[-size].start() :]


def _myopic(response: Response, gamma: float) -> float:
    segment = response.segment
    if segment is None or not segment.true_rewards:
        raise ValueError(
            f"gamma={gamma!r} (myopia) needs a segment with true rewards, got none for the "
            f"response {response.text[:80]!r}"
        )
    rewards = np.array(segment.true_rewards, dtype=np.float64)
    return float(rewards @ gamma ** np.arange(len(rewards) - 1, -1, -1.0))
