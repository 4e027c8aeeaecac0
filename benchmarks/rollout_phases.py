"""Where the time of a settled rollout goes, by phase; each second is counted once.

The phases are methods of the library, timed from outside while a `Breakdown` is open; a second
spent in a phase within a phase counts for the inner one.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch

from textgym.agents.policies.transformer_policy import TransformerPolicy
from textgym.models.causal_reference import CausalLMReference
from textgym.models.slot_cache import SlotCache
from textgym.models.slot_decoder import SlotDecoder
from textgym.scoring import EpisodeScorer
from textgym.token_mdp import TokenMDP
from textgym.vector_env import TokenVectorEnv

PREFILL, DECODE, SAMPLING, COPIES = "prefill", "decode", "sampling", "copies"
ENVIRONMENT, REWARD_MODEL, REFERENCE = "environment", "reward model", "reference"
OTHER = "loop"
PHASES: tuple[tuple[type, str, str], ...] = (
    (SlotDecoder, "_prefill", PREFILL),
    (SlotDecoder, "_step", DECODE),
    # What is left of them: comparing observations with slots, gathering and copying states.
    (SlotDecoder, "advance", COPIES),
    (SlotCache, "copy_row", COPIES),
    (TokenMDP, "observation", COPIES),
    # Output layer, softmax, draw, log-probabilities and values.
    (TransformerPolicy, "forward", SAMPLING),
    (TokenVectorEnv, "step", ENVIRONMENT),
    (TokenVectorEnv, "settle_rewards", ENVIRONMENT),
    (EpisodeScorer, "score", REWARD_MODEL),
    (CausalLMReference, "sequence_log_probs", REFERENCE),
)


class Breakdown:
    """Seconds by phase.

    Attributes:
        seconds: Phase to seconds spent in it and in no phase within it.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Start at zero, in no phase; `clock` gives seconds."""
        self._clock = clock
        self.seconds: dict[str, float] = defaultdict(float)
        self._phases = [OTHER]
        self._since = 0.0

    def shares(self) -> dict[str, float]:
        """Return each phase's share of all time, the largest first."""
        total = sum(self.seconds.values())
        ordered = sorted(self.seconds.items(), key=lambda item: -item[1])
        return {phase: seconds / total for phase, seconds in ordered}

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Time everything within."""
        with contextlib.ExitStack() as stack:
            for owner, name, phase in PHASES:
                timed = self._timed(getattr(owner, name), phase)
                stack.enter_context(mock.patch.object(owner, name, timed))
            self._since = self._clock()
            yield
            self._turn()

    def _timed(self, method: Callable[..., Any], phase: str) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._phases.append(phase)
            try:
                return method(*args, **kwargs)
            finally:
                self._turn()
                self._phases.pop()

        return timed

    def _turn(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # else a kernel's time would be counted where one waits for it
        now = self._clock()
        self.seconds[self._phases[-1]] += now - self._since
        self._since = now
