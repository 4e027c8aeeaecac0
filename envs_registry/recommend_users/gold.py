"""The gold utility of RLHF-Recommend-v0: how much of the session truly appealed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textgym.envs_registry.recommend_users.catalogue import titles_in
from textgym.envs_registry.recommend_users.taste import satisfaction
from textgym.types import Episode


class Satisfaction:
    """`RewardFn` of the mean true appeal over the slots of a session, in [0, 1].

    It is the latent taste's, not the noisy reactions'; slots after the user left count 0.
    """

    name = "gold"

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the gold utility, (N,) float32."""
        return np.array([_satisfaction(episode) for episode in episodes], dtype=np.float32)


def _satisfaction(episode: Episode) -> float:
    seen = titles_in(episode.prompt.text)
    return satisfaction(episode.prompt.facts["liking"], titles_in(episode.response), seen)
