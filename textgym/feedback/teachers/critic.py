"""`Critic`: turns words about a response into a number in [0, 1].

Ridge regression of the score's logit on hashed word and letter n-grams, in NumPy: small enough to
be learned anew wherever it is needed, and the same on every machine. Shape letters: N texts, H
hashed features.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textgym.feedback.checks import check_integer, is_number
from textgym.feedback.teachers.judges import ABOUT_A_SUBJECT, ASPECTS, Finding
from textgym.feedback.teachers.randomness import generator_for
from textgym.feedback.teachers.rubric import Rubric

_TOKEN = re.compile(r"[\w']+|[.,:;!?]")
_NEGATIONS = frozenset(
    ("not", "no", "never", "nothing", "nobody", "neither", "nor", "without", "cannot", "little")
)
# "Not very helpful": as far as a negation reaches, words mean something else.
_NEGATED_WORDS = 3
# Logits of 0 and 1 are infinite, and a grade says no more than its fifth.
_EDGE = 0.02

SUBJECTS = (
    "the outcome", "the question", "the first point", "the reason", "the person", "the example",
    "what happened", "what was tried", "the number", "the name",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """How a critic reads.

    Attributes:
        num_features: H, hashed features, at least 1.
        word_ngrams: Longest run of words that is one feature.
        letter_ngrams: Longest run of letters inside a word, from 3; below 3 for none.
        ridge: Weight of the penalty on the weights, above 0; each text's features have length 1.
    """

    # Chosen on the "seen" phrasings alone, a quarter of them held out in turn.
    num_features: int = 2**12
    word_ngrams: int = 1
    letter_ngrams: int = 5
    ridge: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("num_features", "word_ngrams"):
            check_integer(name, getattr(self, name), least=1)
        check_integer("letter_ngrams", self.letter_ngrams)
        if not (is_number(self.ridge) and 0 < self.ridge < np.inf):
            raise ValueError(f"ridge must be a finite number above 0, got {self.ridge!r}")


class Critic:
    """A linear critic; `fit` makes one."""

    def __init__(self, weights: np.ndarray, bias: float, config: CriticConfig) -> None:
        """Keep (H,) weights and the bias."""
        self._weights, self._bias, self._config = weights, bias, config

    @classmethod
    def fit(
        cls, texts: Sequence[str], scores: Sequence[float], config: CriticConfig | None = None
    ) -> Critic:
        """Learn from texts and the scores that they stand for.

        Args:
            texts: N texts, at least 2.
            scores: N numbers in [0, 1], not all the same.
            config: How to read.

        Raises:
            ValueError: Nothing to learn from, or a score outside [0, 1].
        """
        config = config or CriticConfig()
        values = np.asarray(scores, dtype=np.float64)
        if len(texts) != values.size or values.size < 2:
            raise ValueError(
                f"expected at least 2 texts with a score each, got {len(texts)} and {values.size}"
            )
        if not ((values >= 0) & (values <= 1)).all():  # NaN compares false
            raise ValueError(f"scores must lie in [0, 1], got {scores!r}")
        if np.ptp(values) == 0:
            raise ValueError(f"scores must differ, got {values.size} times {values[0]!r}")
        clipped = np.clip(values, _EDGE, 1 - _EDGE)
        targets = np.log(clipped / (1 - clipped))
        features = _features(texts, config)
        bias = float(targets.mean())
        # The dual has as many unknowns as there are texts, fewer than features.
        kernel = features @ features.T
        kernel[np.diag_indices_from(kernel)] += config.ridge
        solved = np.linalg.solve(kernel.astype(np.float64), targets - bias)
        weights = features.T @ solved
        return cls(weights, bias, config)

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Return a number in (0, 1) for each text, (N,) float64."""
        if not texts:
            return np.zeros(0)
        logits = _features(texts, self._config) @ self._weights + self._bias
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))

    def score(self, text: str) -> float:
        """Return the number of one text."""
        return float(self.scores([text])[0])


def rubric_examples(count: int, *, phrasings: str, seed: int) -> tuple[list[str], np.ndarray]:
    """Return texts of the rubric and the scores that they were said for.

    Scores are even over [0, 1]. Each of six subjects is covered with the score's probability and
    else missing or wrong, each other fault is there with a third of the rest; a text names from
    none to three of these, in turn.

    Args:
        count: N.
        phrasings: "seen", "unseen" or "all".
        seed: Of everything drawn.

    Returns:
        N texts, and (N,) scores.
    """
    rng = generator_for(seed, 0, f"examples {phrasings}")
    rubric = Rubric(rng, phrasings=phrasings)
    scores = rng.random(count)
    findings = [_drawn_findings(score, rng)[: index % 4] for index, score in enumerate(scores)]
    pairs = zip(scores.tolist(), findings, strict=True)
    return [rubric.critique(score, found).words for score, found in pairs], scores


@functools.cache
def rubric_critic(count: int = 1200, seed: int = 0) -> Critic:
    """Return the critic that learned from the rubric's "seen" phrasings alone."""
    texts, scores = rubric_examples(count, phrasings="seen", seed=seed)
    return Critic.fit(texts, scores.tolist())


def _drawn_findings(score: float, rng: np.random.Generator) -> list[Finding]:
    findings = []
    for index in rng.permutation(len(SUBJECTS))[:6].tolist():
        is_covered = rng.random() < score
        aspect = "covered" if is_covered else ("missing", "wrong")[int(rng.integers(2))]
        findings.append(Finding(aspect=aspect, subject=SUBJECTS[index]))
    faults = [aspect for aspect in ASPECTS if aspect not in ABOUT_A_SUBJECT]
    findings += [Finding(aspect=a) for a in faults if rng.random() < (1 - score) / 3]
    return [findings[i] for i in rng.permutation(len(findings)).tolist()]


def _features(texts: Sequence[str], config: CriticConfig) -> np.ndarray:
    """(N, H) float32 counts of hashed n-grams, each row of length 1."""
    found = np.zeros((len(texts), config.num_features), dtype=np.float32)
    for row, text in enumerate(texts):
        for feature in _ngrams(text, config):
            found[row, zlib.crc32(feature.encode()) % config.num_features] += 1.0
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.maximum(norms, 1e-12)


def _ngrams(text: str, config: CriticConfig) -> list[str]:
    words = _marked_words(text)
    found = []
    for size in range(1, config.word_ngrams + 1):
        found += [" ".join(words[i : i + size]) for i in range(len(words) - size + 1)]
    for word in words:
        mark, _, plain = word.rpartition("~")
        padded = f"<{plain}>"
        for size in range(3, config.letter_ngrams + 1):
            parts = (padded[i : i + size] for i in range(len(padded) - size + 1))
            found += [f"#{mark}{part}" for part in parts]
    return found


def _marked_words(text: str) -> list[str]:
    """Words in lower case, those behind a negation marked "not~", and the marks "!" and "?"."""
    marked = []
    reach = 0
    for token in _TOKEN.findall(text.lower()):
        if token in ".,:;":
            reach = 0
        elif token in "!?":
            marked.append(token)
            reach = 0
        else:
            marked.append(f"not~{token}" if reach > 0 else token)
            is_negation = token in _NEGATIONS or token.endswith("n't")
            reach = _NEGATED_WORDS if is_negation else reach - 1
    return marked
