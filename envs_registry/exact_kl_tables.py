"""The tables of Probe-ExactKL-v0: the reference's logits and the score of every response."""

from __future__ import annotations

from functools import cached_property
from itertools import product

import numpy as np

from textgym.types import TokenIds

VOCAB_SIZE = 6
EOS = 5
MAX_NEW_TOKENS = 4


class ExactKLTables:
    """The reference's logits by state and the score by response."""

    def __init__(self, table_seed: int, max_new_tokens: int = MAX_NEW_TOKENS) -> None:
        """Draw both tables; at most `6 ** max_new_tokens` responses are held."""
        self.table_seed, self.max_new_tokens = table_seed, max_new_tokens

    @cached_property
    def responses(self) -> tuple[TokenIds, ...]:
        """Every finished response, shortest first."""
        inner = [token for token in range(VOCAB_SIZE) if token != EOS]
        ended = [
            (*body, EOS)
            for length in range(self.max_new_tokens)
            for body in product(inner, repeat=length)
        ]
        return (*ended, *product(inner, repeat=self.max_new_tokens))

    @cached_property
    def states(self) -> tuple[TokenIds, ...]:
        """Every unfinished response, shortest first."""
        inner = [token for token in range(VOCAB_SIZE) if token != EOS]
        lengths = range(self.max_new_tokens)
        return tuple(body for length in lengths for body in product(inner, repeat=length))

    @cached_property
    def logits(self) -> dict[TokenIds, np.ndarray]:
        """State (the response so far) to the reference's logits, (6,) float64."""
        generator = np.random.default_rng([self.table_seed, 0])
        return {state: generator.standard_normal(VOCAB_SIZE) for state in self.states}

    @cached_property
    def scores(self) -> dict[TokenIds, float]:
        """Finished response to its score."""
        generator = np.random.default_rng([self.table_seed, 1])
        values = generator.standard_normal(len(self.responses))
        return dict(zip(self.responses, values.tolist(), strict=True))

    def reference_logits(self, state: TokenIds) -> np.ndarray:
        """Return the logits after a prompt of one token; zeros beyond the last step."""
        return self.logits.get(tuple(state[1:]), np.zeros(VOCAB_SIZE))
