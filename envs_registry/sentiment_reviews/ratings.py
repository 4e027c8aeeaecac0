"""The gold of real reviews: how people would rate a text, learned from their ratings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np

from textgym.feedback.teachers.critic import Critic, CriticConfig
from textgym.prompts import PromptSource
from textgym.types import Episode

RATING = "sentiment"
# Enough for the words of reviews; more would make every `gym.make` wait.
MOST_RATED = 2000
# Chosen on a training split of rated snippets of reviews, an eighth of it held out.
READING = CriticConfig(ridge=1.0)


class RatedSentiment:
    """`RewardFn` in [0, 1]: a ridge regression of human ratings on words, read on the response."""

    name = "gold"

    def __init__(self, texts: Sequence[str], ratings: Sequence[float]) -> None:
        """Learn from texts and what people gave them, on any scale; higher is more positive.

        Raises:
            ValueError: A rating that is no finite number, or ratings that are all the same.
        """
        for rating in ratings:
            if (
                isinstance(rating, bool)
                or not isinstance(rating, Real)
                or not math.isfinite(rating)
            ):
                raise ValueError(f"a rating must be a finite number, got {rating!r}")
        values = np.array(ratings, dtype=np.float64)
        if np.ptp(values) == 0:
            raise ValueError(f"ratings must differ, got {len(values)} times {ratings[0]!r}")
        self._critic = Critic.fit(
            texts, ((values - values.min()) / np.ptp(values)).tolist(), READING
        )

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Utility of each episode's response, (N,) float32; 0 for a response without words."""
        read = self._critic.scores([episode.response for episode in episodes])
        is_text = np.array([bool(episode.response.strip()) for episode in episodes], dtype=bool)
        return np.where(is_text, read, 0.0).astype(np.float32)


def learned_from(source: PromptSource) -> RatedSentiment:
    """The gold that a data set teaches: at most `MOST_RATED` items, spread evenly over it.

    Args:
        source: Whole texts, with their ratings in the fact `sentiment`.

    Raises:
        ValueError: See `RatedSentiment`.
    """
    # Evenly: files are often sorted by what the texts were given.
    chosen = np.unique(np.linspace(0, len(source) - 1, min(len(source), MOST_RATED)).astype(int))
    rated = [source[index] for index in chosen.tolist()]
    texts = [" ".join((prompt.text, *prompt.references[:1])) for prompt in rated]
    return RatedSentiment(texts, [prompt.facts[RATING] for prompt in rated])
