"""The gold utility of RLHF-Monitor-v0: right is good, early and right is better."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from textgym.envs_registry.monitor_streams.readers import WAIT, symbol_of
from textgym.envs_registry.monitor_streams.remarks import POLARITIES
from textgym.envs_registry.monitor_streams.stopping import right_decision
from textgym.types import Episode

_WAITED = symbol_of(WAIT)
_DECISION = re.compile("|".join(re.escape(symbol_of(name)) for name in POLARITIES))


def decision_of(response: str) -> str | None:
    """Return what a response decides for, None where it waits to the end."""
    found = _DECISION.search(response)
    return None if found is None else found[0][1:-1]


class EarlyAndRight:
    """`RewardFn` of a decision: 1 less what waiting cost where it is right, else 0."""

    name = "gold"
    needs_facts = True

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the gold utility, (N,) float32, in [0, 1]."""
        return np.array([_utility(episode) for episode in episodes], dtype=np.float32)


def _utility(episode: Episode) -> float:
    is_right = decision_of(episode.response) == episode.prompt.facts["label"]
    return right_decision(episode.response.count(_WAITED)) if is_right else 0.0
