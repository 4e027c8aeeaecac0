"""The gold utility of RLHF-Recommend-v0: how much of the session truly appealed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textgym.envs_registry.recommend_users.catalogue import titles_in
from textgym.envs_registry.recommend_users.taste import NUM_SLOTS, satisfaction
from textgym.types import Episode


class Satisfaction:
    """`RewardFn` of the mean true appeal over the slots of a session, in [0, 1].

    A film has the appeal that it had when it was shown, to the latent taste, not to the noisy
    reactions; slots after the user has left count 0.
    """

    name = "gold"
    needs_facts = True

    def __init__(self, num_slots: int = NUM_SLOTS) -> None:
        """Take how many films a session has, at least 1."""
        self._num_slots = num_slots

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the gold utility, (N,) float32."""
        return np.array([self._satisfaction(episode) for episode in episodes], dtype=np.float32)

    def _satisfaction(self, episode: Episode) -> float:
        seen, shown = titles_in(episode.prompt.text), titles_in(episode.response)
        return satisfaction(episode.prompt.facts["liking"], shown, seen, self._num_slots)
