"""How well a critic reads: on phrasings it never saw, on ratings put into words, on people's words.

Shape letters: N texts, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from textgym.agents.evaluation.correlations import pearson
from textgym.feedback.teachers.critic import Critic
from textgym.feedback.teachers.randomness import generator_for
from textgym.feedback.teachers.rubric import Rubric, grade_of
from textgym.intervals import (
    Estimate,
    bootstrap_interval,
    ratio_interval,
    wilson_interval,
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a critic's numbers say of the true ones.

    Attributes:
        name: What was read.
        pairwise_accuracy: Share of pairs with different true numbers that it orders rightly; equal
            numbers of its own count half.
        correlation: Pearson's; None where only the order within groups means something.
        error: Mean absolute difference; None where the true numbers have another scale.
    """

    name: str
    pairwise_accuracy: Estimate
    correlation: Estimate | None = None
    error: Estimate | None = None


def reading(
    name: str, numbers: np.ndarray, truth: np.ndarray, *, same_scale: bool = True, seed: int = 0
) -> Reading:
    """Compare (N,) numbers with the true ones, on disjoint pairs of texts drawn with `seed`."""
    order = np.random.default_rng(seed).permutation(len(truth))
    half = len(order) // 2
    credits = _credits(numbers, truth, order[:half], order[half : 2 * half])
    return Reading(
        name=name,
        pairwise_accuracy=wilson_interval(float(credits.sum()), len(credits)),
        correlation=bootstrap_interval((numbers, truth), pearson),
        error=bootstrap_interval((np.abs(numbers - truth),), np.mean) if same_scale else None,
    )


@dataclass(frozen=True, kw_only=True)
class Review:
    """One reviewer's ratings of one system's answer to one question; each in [0, 1].

    Attributes:
        question: Number of the question.
        reviewer: Number of the reviewer within the question.
        correctness: Rating.
        selection: Rating of what the answer chose to tell.
        overall: Rating that the words have to predict.
    """

    question: int
    reviewer: int
    correctness: float
    selection: float
    overall: float


def squality_reviews(rows: Iterable[Mapping[str, Any]]) -> list[Review]:
    """Read the reviews of SQuALITY's human evaluation, ratings of 0 to 100.

    Raises:
        ValueError: A row without reviews of that form.
    """
    found = []
    for number, row in enumerate(rows):
        try:
            reviews = [list(system["reviews"]) for system in row["systems"].values()]
            found += [
                Review(
                    question=number,
                    reviewer=reviewer,
                    correctness=review["correctness-rating"] / 100,
                    selection=review["selection-rating"] / 100,
                    overall=review["overall-rating"] / 100,
                )
                for of_system in reviews
                for reviewer, review in enumerate(of_system)
            ]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"row {number} holds no reviews of SQuALITY: {error!r}") from error
    return found


def review_readings(
    critic: Critic, reviews: Sequence[Review], *, phrasings: str = "unseen", seed: int = 0
) -> list[Reading]:
    """Put each review's two part ratings into words, and predict its overall rating from these.

    The reviews hold no words, only numbers. What is compared, over pairs of systems that one
    reviewer rated for one question: the critic on the words, the mean of the two grades that the
    words say (as much as any reader of them can know), the mean of the two ratings themselves,
    and another reviewer's overall rating.
    """
    generator = generator_for(seed, 0, "reviews")
    rubric = Rubric(generator, phrasings=phrasings, max_findings=0)
    words = [
        f"{rubric.critique(r.correctness).words} {rubric.critique(r.selection).words}"
        for r in reviews
    ]
    parts = np.array([[r.correctness, r.selection] for r in reviews])
    grades = np.array([[grade_of(part) for part in row] for row in parts.tolist()])
    overall = np.array([r.overall for r in reviews])
    named = {
        f"critic, the reviews' ratings in {phrasings} words": critic.scores(words),
        "the grades that these words say": grades.mean(axis=1),
        "the two ratings as numbers": parts.mean(axis=1),
    }
    groups = [(r.question, r.reviewer) for r in reviews]
    readings = [
        Reading(name=name, pairwise_accuracy=within_groups(numbers, overall, groups))
        for name, numbers in named.items()
    ]
    return [*readings, _between_reviewers(overall, reviews)]


def _between_reviewers(overall: np.ndarray, reviews: Sequence[Review]) -> Reading:
    """One reviewer's overall ratings as a prediction of the next one's."""
    rows: dict[tuple[int, int], list[int]] = {}
    for index, review in enumerate(reviews):
        rows.setdefault((review.question, review.reviewer), []).append(index)
    numbers = np.full(len(reviews), np.nan)
    for (question, reviewer), indices in rows.items():
        other = rows.get((question, reviewer + 1)) or rows[question, 0]
        numbers[indices] = overall[other]
    groups = [(review.question, review.reviewer) for review in reviews]
    accuracy = within_groups(numbers, overall, groups)
    return Reading(name="another reviewer's overall rating", pairwise_accuracy=accuracy)


def within_groups(
    numbers: np.ndarray, truth: np.ndarray, groups: Sequence[tuple[int, int]]
) -> Estimate:
    """Pairwise accuracy inside each group, resampled by the groups' first key.

    Args:
        numbers: (N,) what is tested.
        truth: (N,) what the order should be; equal ones decide nothing.
        groups: N keys; only items of one group are compared.
    """
    members: dict[tuple[int, int], list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    right: dict[int, float] = {}
    total: dict[int, int] = {}
    for (cluster, _), indices in members.items():
        pairs = np.array(list(combinations(indices, 2)), dtype=np.int64).reshape(-1, 2)
        credits = _credits(numbers, truth, pairs[:, 0], pairs[:, 1])
        right[cluster] = right.get(cluster, 0.0) + float(credits.sum())
        total[cluster] = total.get(cluster, 0) + len(credits)
    return ratio_interval(list(right.values()), list(total.values()))


def _credits(
    numbers: np.ndarray, truth: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """(P,) 1 for a right order, 0.5 for none, 0 for a wrong one; pairs equal in truth left out."""
    wanted = np.sign(truth[first] - truth[second])
    given = np.sign(numbers[first] - numbers[second])
    return (0.5 * (1 + given * wanted))[wanted != 0]
