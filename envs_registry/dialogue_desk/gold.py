"""The hidden utility of RLHF-Dialogue-v0: was the customer served, and how gladly."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from textgym.envs_registry.dialogue_desk import wording
from textgym.envs_registry.dialogue_desk.needs import Need
from textgym.envs_registry.dialogue_desk.reading import Case, Spoken, read_case
from textgym.tokenizer import Tokenizer
from textgym.turns import episode_turns
from textgym.types import Episode

SOLVED, GLADLY, LEARNED = 0.7, 0.3, 0.3
# What the customer says in a transcript, speakers' names included.
OTHERS = rf"\n{wording.CUSTOMER}[^\n]*(?:\n{wording.AGENT}|$)"


class DialogueGold:
    """`SOLVED` for an order booked as it was wanted, and `GLADLY` times the patience left.

    An order that was not booked is worth `LEARNED` times the share of the slots that had to be
    asked for and were told. Who said what is taken from the ids, so that an agent that writes the
    customer's part too gains nothing by it; a text without ids is cut at its speakers' names.
    """

    name = "gold"
    needs_facts = True

    def __init__(self) -> None:
        """Read texts alone until it is told the tokenizer."""
        self._tokenizer: Tokenizer | None = None

    def read_ids_with(self, tokenizer: Tokenizer) -> None:
        """Tell who said what by the ids from now on."""
        self._tokenizer = tokenizer

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the utilities in [0, 1], (N,) float32."""
        cases = [read_case(Need.of(e.prompt.facts), self.spoken(e)) for e in episodes]
        return np.array([utility(case) for case in cases], dtype=np.float32)

    def spoken(self, episode: Episode) -> Spoken:
        """Return who said what behind the first message."""
        if self._tokenizer is None or not episode.response_is_action:
            return spoken_in(episode.response)
        turns = episode_turns(episode)
        return [(turn.is_action, self._tokenizer.decode(list(turn.ids))) for turn in turns]


def utility(case: Case) -> float:
    """The gold of a finished case, in [0, 1]."""
    if case.is_solved:
        return SOLVED + GLADLY * (1.0 - case.annoyances / case.need.patience)
    if not case.missing:
        return 0.0
    return LEARNED * len(case.known.intersection(case.missing)) / len(case.missing)


def spoken_in(response: str) -> list[tuple[bool, str]]:
    """Who said what in a transcript."""
    spoken: list[tuple[bool, str]] = []
    start = 0
    for match in re.finditer(OTHERS, response):
        first, last = match.span()
        spoken += [(True, response[start:first]), (False, response[first:last])]
        start = last
    rest = response[start:]
    return [*spoken, (True, rest)] if rest.strip() else spoken
