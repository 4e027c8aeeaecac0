"""The gold utility of RLHF-NER-v0: the F1 of the entities of a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from textgym.envs_registry.ner_sentences.scheme import OUTSIDE, TAGS, entity_f1, symbol_of
from textgym.types import Episode

_SYMBOL = re.compile("|".join(re.escape(symbol_of(tag)) for tag in TAGS))


def said_tags(episode: Episode) -> list[str]:
    """Return the tags of a response, one for each word; a word that was not reached has "O"."""
    tags = [symbol[1:-1] for symbol in _SYMBOL.findall(episode.response)]
    num_words = len(episode.prompt.facts["words"])
    return [*tags, *[OUTSIDE] * (num_words - len(tags))][:num_words]


class EntityF1:
    """`RewardFn` of the F1 of a sentence's entities, in [0, 1]; reads `prompt.facts`."""

    name = "gold"
    needs_facts = True

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the F1 of each sentence, (N,) float32; 1 where there is rightly no entity."""
        found = [entity_f1(said_tags(e), e.prompt.facts["tags"]) for e in episodes]
        return np.array(found, dtype=np.float32)
