"""What a teacher likes for the wrong reasons: utilities on top of the gold.

Shape letter: K responses of a query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from textgym.feedback.queries import Query
from textgym.feedback.responses import Response
from textgym.feedback.teachers.config import TeacherConfig
from textgym.feedback.teachers.randomness import RandomWalk, generator_for
from textgym.feedback.teachers.styles import STYLES, words_in

ACTIONS_PER_UNIT = 10


class Biases:
    """Length, position, keyword and style, with one person's weights, which may drift."""

    def __init__(self, config: TeacherConfig, person: int) -> None:
        """Draw the person's weights around the config's."""
        self._config = config
        means = np.array(
            [config.length_bias, config.position_bias, config.keyword_bias, config.style_bias]
        )
        drawn = generator_for(config.seed, person, "bias_spread").standard_normal(len(means))
        self._is_off = not (means.any() or config.bias_spread or config.bias_drift)
        self._keywords = _pattern(config.keyword_list)
        self._weights = RandomWalk(
            means + config.bias_spread * drawn,
            config.bias_drift,
            generator_for(config.seed, person, "bias_drift"),
        )

    def weights(self, round_index: int) -> dict[str, float]:
        """Return this person's weights in a round, utilities by name."""
        values = self._weights.at(round_index).tolist()
        return dict(zip(("length", "position", "keyword", "style"), values, strict=True))

    def shifts(self, query: Query, seen: tuple[Response, ...]) -> np.ndarray:
        """Return what the biases add to the utility of each response, (K,) float64."""
        if self._is_off:
            return np.zeros(len(seen))
        features = np.array([self._features(response) for response in seen])
        if len(seen) > 1:
            features[query.shown_order[0], 1] = 1.0
        return features @ self._weights.at(query.round_index)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights' walk; JSON values."""
        return self._weights.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._weights.load_state_dict(state)

    def _features(self, response: Response) -> tuple[float, float, float, float]:
        """Length, position (filled in later), keyword, style."""
        length = response.num_actions or len(words_in(response.text))
        has_keyword = self._keywords is not None and bool(self._keywords.search(response.text))
        style = STYLES[self._config.style](response.text, response.prompt.text)
        return length / ACTIONS_PER_UNIT, 0.0, float(has_keyword), style


def _pattern(keywords: tuple[str, ...]) -> re.Pattern[str] | None:
    if not keywords:
        return None
    either = "|".join(re.escape(word) for word in keywords)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)
