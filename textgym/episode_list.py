"""A list of episodes that a notebook shows with every token coloured by its reward."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

from textgym.rendering import token_pieces
from textgym.tokenizer import Tokenizer
from textgym.types import Episode

MAX_SHOWN = 20  # episodes in one notebook cell

GOOD_COLOUR = (34, 139, 84)
BAD_COLOUR = (200, 64, 48)


class EpisodeList(list[Episode]):
    """Episodes in the order they were asked for; slices stay lists of this kind.

    Attributes:
        tokenizer: Turns the response's ids into the pieces of text that are coloured; None where
            the list was made without one (a response is then shown whole).
    """

    def __init__(
        self, episodes: Iterable[Episode] = (), tokenizer: Tokenizer | None = None
    ) -> None:
        """Hold the episodes."""
        super().__init__(episodes)
        self.tokenizer = tokenizer

    def __getitem__(self, index: Any) -> Any:
        """Return one episode, or an `EpisodeList` for a slice."""
        chosen = super().__getitem__(index)
        return EpisodeList(chosen, self.tokenizer) if isinstance(index, slice) else chosen

    def _repr_html_(self) -> str:
        """Return a table of prompts and responses for a notebook."""
        scale = max((abs(r) for episode in self for r in episode.rewards), default=0.0)
        rows = [self._row(i, episode, scale) for i, episode in enumerate(self[:MAX_SHOWN])]
        more = len(self) - len(rows)
        note = f"<p>… and {more} more</p>" if more > 0 else ""
        head = "<tr><th>#</th><th>prompt</th><th>response</th><th>score</th><th>gold</th></tr>"
        style = "border-collapse:collapse;text-align:left"
        return f'<table style="{style}">{head}{"".join(rows)}</table>{note}'

    def _row(self, index: int, episode: Episode, scale: float) -> str:
        cells = (
            str(index),
            f'<div style="white-space:pre-wrap">{html.escape(episode.prompt.text)}</div>',
            f'<div style="white-space:pre-wrap">{self._response(episode, scale)}</div>',
            _number(episode.score),
            _number(episode.gold_score),
        )
        return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"

    def _response(self, episode: Episode, scale: float) -> str:
        pieces = self._pieces(episode)
        if len(pieces) != len(episode.rewards):
            return html.escape(episode.response)
        spans = zip(pieces, episode.rewards, strict=True)
        return "".join(_span(piece, reward, scale) for piece, reward in spans)

    def _pieces(self, episode: Episode) -> list[str]:
        if self.tokenizer is None:
            return []
        return token_pieces(self.tokenizer, episode.response_ids)


def _span(piece: str, reward: float, scale: float) -> str:
    red, green, blue = GOOD_COLOUR if reward >= 0 else BAD_COLOUR
    strength = 0.65 * abs(reward) / scale if scale > 0 else 0.0
    colour = f"background:rgba({red},{green},{blue},{strength:.2f})"
    text = html.escape(piece) or "·"
    return f'<span style="{colour}" title="reward {reward:+.4f}">{text}</span>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
