"""Which of many possible questions to ask: at random, where members disagree, or by spread.

All functions return indices of candidates, the most wanted first, and are pure: what is random
comes from the caller's generator.
"""

from __future__ import annotations

import numpy as np

DISAGREEMENTS = ("probability", "logit", "label")


def select_random(num_candidates: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw `count` of the candidates without replacement.

    Args:
        num_candidates: How many there are.
        count: How many to take, at most all.
        generator: Draws.

    Returns:
        (count,) int64 indices.
    """
    _check_count(count, num_candidates)
    return generator.permutation(num_candidates)[:count]


def select_by_disagreement(
    member_scores: np.ndarray,
    count: int,
    generator: np.random.Generator,
    *,
    on: str = "probability",
) -> np.ndarray:
    """Take the questions on which the members of an ensemble disagree most.

    Args:
        member_scores: (M, C) or (M, C, k) float: what each of M >= 2 members gives to each of C
            candidates, or to each of a candidate's k responses. Members are to be normalised
            first: an offset of a member cancels for k >= 2, a scale does not.
        count: How many to take.
        generator: Breaks ties.
        on: Of what to take the variance over members, for k = 2: the probability that the first
            wins, its logit (the difference of the scores), or the label (which one wins). For
            k > 2 the mean over pairs. Without k: always the scores themselves.

    Returns:
        (count,) int64 indices.

    Raises:
        ValueError: Other shapes, numbers that are not finite, or an unknown `on`.
    """
    scores = _checked(member_scores, "member_scores", (2, 3))
    if len(scores) < 2:
        raise ValueError(f"disagreement needs at least 2 members, got {len(scores)}")
    if on not in DISAGREEMENTS:
        raise ValueError(f"on must be one of {DISAGREEMENTS}, got {on!r}")
    if scores.ndim == 2:
        return _largest(scores.var(axis=0), count, generator)
    first, second = np.triu_indices(scores.shape[2], k=1)
    if not len(first):
        raise ValueError(f"member_scores must hold at least 2 responses, got shape {scores.shape}")
    logits = scores[:, :, first] - scores[:, :, second]
    judged = logits
    if on == "probability":
        judged = 0.5 * (1.0 + np.tanh(0.5 * logits))
    elif on == "label":
        judged = np.sign(logits)
    return _largest(judged.var(axis=0).mean(axis=1), count, generator)


def select_by_spread(scores: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Take the questions whose responses one model scores most differently.

    Args:
        scores: (C, k) float, k >= 2 responses to each of C candidates.
        count: How many to take.
        generator: Breaks ties.

    Returns:
        (count,) int64 indices, by falling difference of best and worst.
    """
    scores = _checked(scores, "scores", (2,))
    if scores.shape[1] < 2:
        raise ValueError(f"a spread needs at least 2 responses each, got shape {scores.shape}")
    return _largest(np.ptp(scores, axis=1), count, generator)


def _largest(values: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    _check_count(count, len(values))
    shuffled = generator.permutation(len(values))
    order = np.argsort(-values[shuffled], kind="stable")
    return shuffled[order[:count]]


def _checked(values: np.ndarray, name: str, dimensions: tuple[int, ...]) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim not in dimensions:
        raise ValueError(f"{name} must have {dimensions} dimensions, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got {values[~np.isfinite(values)][0]!r}")
    return values


def _check_count(count: int, num_candidates: int) -> None:
    if not 0 <= count <= num_candidates:
        raise ValueError(f"count must lie in 0..{num_candidates} candidates, got {count!r}")
