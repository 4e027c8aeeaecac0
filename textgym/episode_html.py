"""Episodes as HTML for notebooks: every token of a response coloured by its reward.

What an environment answered stands in italics, without colour.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Protocol

GOOD_COLOUR = (34, 139, 84)
BAD_COLOUR = (200, 64, 48)


class ShownEpisode(Protocol):
    """What is shown of an episode; see `textgym.types.Episode`."""

    prompt: Any
    response: str
    response_is_action: tuple[bool, ...]
    rewards: tuple[float, ...]
    pieces: tuple[str, ...]
    score: float | None
    gold_score: float | None


def episode_table(episodes: Sequence[Any]) -> str:
    """Return a table of prompts and responses.

    Colours share one scale: the strongest is the largest reward of all the episodes.

    Args:
        episodes: What `ShownEpisode` names; a response without pieces is shown whole.
    """
    scale = max((abs(reward) for episode in episodes for reward in episode.rewards), default=0.0)
    rows = [_row(index, episode, scale) for index, episode in enumerate(episodes)]
    head = "<tr><th>#</th><th>prompt</th><th>response</th><th>score</th><th>gold</th></tr>"
    style = "border-collapse:collapse;text-align:left"
    return f'<table style="{style}">{head}{"".join(rows)}</table>'


def _row(index: int, episode: ShownEpisode, scale: float) -> str:
    cells = (
        str(index),
        f'<div style="white-space:pre-wrap">{html.escape(episode.prompt.text)}</div>',
        f'<div style="white-space:pre-wrap">{_response(episode, scale)}</div>',
        _number(episode.score),
        _number(episode.gold_score),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _response(episode: ShownEpisode, scale: float) -> str:
    is_action = episode.response_is_action or (True,) * len(episode.pieces)
    if len(is_action) != len(episode.pieces) or sum(is_action) != len(episode.rewards):
        return html.escape(episode.response)
    rewards = iter(episode.rewards)
    return "".join(
        _span(piece, next(rewards), scale) if own else f"<em>{html.escape(piece)}</em>"
        for piece, own in zip(episode.pieces, is_action, strict=True)
    )


def _span(piece: str, reward: float, scale: float) -> str:
    red, green, blue = GOOD_COLOUR if reward >= 0 else BAD_COLOUR
    strength = 0.65 * abs(reward) / scale if scale > 0 else 0.0
    colour = f"background:rgba({red},{green},{blue},{strength:.2f})"
    text = html.escape(piece) or "·"
    return f'<span style="{colour}" title="reward {reward:+.4f}">{text}</span>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
