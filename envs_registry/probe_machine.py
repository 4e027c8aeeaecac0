"""What a probe's responses are worth: states, how tokens change them, the score of the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from textgym.types import Episode

State = Any
"""Of the machine: whatever a probe chooses, as long as it can be hashed."""


class Probe:
    """One task; subclasses say what a response is worth.

    Attributes:
        symbols: The vocabulary, separated by spaces; none of them ends a response.
        actions: Those that may be written; empty for all.
        prompts: Every prompt, each as likely as the others.
    """

    symbols: ClassVar[str]
    actions: ClassVar[str] = ""
    prompts: Sequence[str]

    def begin(self, prompt: Sequence[str]) -> State:
        """Return the state before the first token, from the prompt's symbols."""
        raise NotImplementedError

    def advance(self, state: State, symbol: str) -> State:
        """Return the state after one more symbol."""
        raise NotImplementedError

    def score(self, state: State, num_tokens: int) -> float:
        """Return what a response of `num_tokens` that ended in `state` is worth, in [0, 1]."""
        raise NotImplementedError

    def faulty_choices(self, state: State) -> str:
        """Return the symbols among which an algorithm with the fault draws."""
        raise NotImplementedError

    def state_after(self, prompt: str, response: Sequence[str]) -> State:
        """Run the machine over a response or the beginning of one."""
        state = self.begin(prompt.split())
        for symbol in response:
            state = self.advance(state, symbol)
        return state


class ProbeScore:
    """The score of a response: the truth itself, so it is the gold utility too."""

    name = "gold"

    def __init__(self, probe: Probe) -> None:
        """Score by the machine of `probe`."""
        self.probe = probe

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32 in [0, 1]."""
        return np.array([self.score(episode) for episode in episodes], dtype=np.float32)

    def score(self, episode: Episode) -> float:
        """Return the score of one episode."""
        symbols = self.probe.symbols.split()
        response = [symbols[token] for token in episode.response_ids]
        state = self.probe.state_after(episode.prompt.text, response)
        return self.probe.score(state, len(response))
