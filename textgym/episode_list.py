"""A list of episodes that a notebook shows with every token coloured by its reward."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from textgym.episode_html import episode_table
from textgym.rendering import token_pieces
from textgym.tokenizer import Tokenizer
from textgym.types import Episode

MAX_SHOWN = 20  # episodes in one notebook cell


class EpisodeList(list[Episode]):
    """Episodes in the order they were asked for; slices stay lists of this kind.

    Attributes:
        tokenizer: Turns the response's ids into the pieces of text that are coloured; None where
            the list was made without one (a response is then shown whole).
    """

    def __init__(
        self, episodes: Iterable[Episode] = (), tokenizer: Tokenizer | None = None
    ) -> None:
        """Hold the episodes, with their pieces of text where they lack them."""
        super().__init__(_with_pieces(episode, tokenizer) for episode in episodes)
        self.tokenizer = tokenizer

    def __getitem__(self, index: Any) -> Any:
        """Return one episode, or an `EpisodeList` for a slice."""
        chosen = super().__getitem__(index)
        return EpisodeList(chosen, self.tokenizer) if isinstance(index, slice) else chosen

    def _repr_html_(self) -> str:
        """Return a table of prompts and responses for a notebook."""
        more = len(self) - MAX_SHOWN
        note = f"<p>… and {more} more</p>" if more > 0 else ""
        return episode_table(self[:MAX_SHOWN]) + note


def _with_pieces(episode: Episode, tokenizer: Tokenizer | None) -> Episode:
    if tokenizer is None or episode.pieces:
        return episode
    return replace(episode, pieces=tuple(token_pieces(tokenizer, episode.response_ids)))
