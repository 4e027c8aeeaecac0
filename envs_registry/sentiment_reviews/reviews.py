"""The reviews of RLHF-Sentiment-v0: item i is a pure function of (data_seed, split, i)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.envs_registry.sentiment_reviews.lexicon import FILLERS, SUBJECTS
from textgym.envs_registry.sentiment_reviews.people import (
    asked_continuation,
    free_continuation,
    spelt_opinion,
)
from textgym.types import Prompt

PROMPT_TEMPLATE = "Review of a {subject}\n\n{opening}\n\nContinued:"
OPENING_COUNTS = (1, 2)


def review_prompt(subject: str, opening: str) -> str:
    """The text of a prompt; it ends in "Continued:"."""
    return PROMPT_TEMPLATE.format(subject=subject, opening=opening)


class SentimentReviews(ProceduralPrompts):
    """Beginnings of reviews, each with a continuation by somebody who was asked to be positive.

    Facts are plain lists and strings, ready for JSON: `subject` ("hotel"), `setting` (the first
    sentence) and `opinions` ([aspect, clause] for each opinion that the opening holds, praise or
    not).
    """

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        subject = pick(tuple(SUBJECTS), rng)
        words = {slot: pick(values, rng) for slot, values in FILLERS.items()}
        setting = pick(SUBJECTS[subject].settings, rng).format(**words)
        left = list(SUBJECTS[subject].aspects)
        opinions = []
        for _ in range(pick(OPENING_COUNTS, rng)):
            aspect = left.pop(rng.integers(len(left)))
            is_praise = rng.random() < 0.5
            opinions.append([aspect, spelt_opinion(subject, aspect, is_praise, rng)])
        return {"subject": subject, "setting": setting, "opinions": opinions}

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`: all that the prompt shows."""
        return "|".join([facts["subject"], facts["setting"], *(o for _, o in facts["opinions"])])

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        sentences = [facts["setting"], *(f"{clause}." for _, clause in facts["opinions"])]
        opening = " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
        return Prompt(
            prompt_id=prompt_id,
            text=review_prompt(facts["subject"], opening),
            references=(self.continuation(facts, rng),),
            facts=dict(facts),
        )

    def continuation(self, facts: Mapping[str, Any], rng: Draws) -> str:
        """What a person wrote under the opening."""
        return asked_continuation(facts, rng)


class FreeReviews(SentimentReviews):
    """The same beginnings, continued by people as they pleased: what a model learns to imitate."""

    def continuation(self, facts: Mapping[str, Any], rng: Draws) -> str:
        """What a person wrote who was asked for nothing."""
        return free_continuation(facts, rng)
