"""The hidden gold utility of RLHF-QA-v0: token F1 with the right answer, or abstention.

The F1 is that of SQuAD: over words without letter case, punctuation and articles, the best over
the accepted answers. Where the passage does not say, a refusal and nothing else is right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from textgym.envs_registry.qa_passages.lexicon import REFUSALS
from textgym.feedback.teachers.judges import Finding
from textgym.types import Episode

ARTICLES = frozenset(("a", "an", "the"))
_PUNCTUATION = re.compile(r"[^\w\s]|_")


@lru_cache(maxsize=2**16)
def words_of_answer(text: str) -> tuple[str, ...]:
    """The words that count: lower case, without punctuation and articles."""
    plain = _PUNCTUATION.sub("", text.lower())
    return tuple(word for word in plain.split() if word not in ARTICLES)


_REFUSALS = frozenset(words_of_answer(refusal) for refusal in REFUSALS)


def is_refusal(response: str) -> bool:
    """Whether the response says that the passage does not say, and nothing else."""
    return words_of_answer(response) in _REFUSALS


def token_f1(response: str, answer: str) -> float:
    """Harmonic mean of precision and recall of the words, in [0, 1]; repeated words count."""
    said, wanted = Counter(words_of_answer(response)), Counter(words_of_answer(answer))
    shared = sum((said & wanted).values())
    if not shared:
        return float(said == wanted)
    return 2 * shared / (said.total() + wanted.total())


def answer_utility(response: str, answers: Sequence[str]) -> float:
    """The best F1 with one of `answers`; where there is none, 1 for a refusal and 0 otherwise."""
    if not answers:
        return float(is_refusal(response))
    return max(token_f1(response, answer) for answer in answers)


class QAGold:
    """`RewardFn` of the gold utility, in [0, 1]; reads `prompt.facts["answers"]`."""

    name = "gold"
    needs_facts = True

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Gold utility of each episode, (N,) float32.

        Raises:
            ValueError: A prompt does not carry its answers.
        """
        scores = [answer_utility(e.response, _answers(e)) for e in episodes]
        return np.array(scores, dtype=np.float32)

    def findings(self, episode: Episode) -> tuple[Finding, ...]:
        """Return what is right and wrong with an answer."""
        answers = _answers(episode)
        utility = answer_utility(episode.response, answers)
        if utility == 1.0:
            return (Finding(aspect="covered", subject="the answer"),)
        if utility > 0.0:
            longest = max(len(words_of_answer(answer)) for answer in answers)
            is_long = len(words_of_answer(episode.response)) > longest
            return (Finding(aspect="too_long" if is_long else "unfinished"),)
        is_silent = is_refusal(episode.response) or not words_of_answer(episode.response)
        return (Finding(aspect="missing" if is_silent else "wrong", subject="the answer"),)


def _answers(episode: Episode) -> Sequence[str]:
    answers = episode.prompt.facts.get("answers")
    if not isinstance(answers, (list, tuple)) or not all(isinstance(a, str) for a in answers):
        raise ValueError(
            f"gold needs the list of accepted answers in facts['answers'], got {answers!r} for "
            f"prompt_id {episode.prompt.prompt_id}"
        )
    return answers
