"""Which questions are asked."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.feedback.selection import select_by_disagreement, select_by_spread, select_random


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_random_draws_without_replacement_and_evenly() -> None:
    drawn = select_random(10, 10, rng())
    assert sorted(drawn) == list(range(10))
    assert select_random(10, 4, rng(1)).tolist() == select_random(10, 4, rng(1)).tolist()
    counts = np.bincount(
        np.concatenate([select_random(10, 3, rng(s)) for s in range(2000)]), minlength=10
    )
    # 2000 draws of 3 in 10: mean 600, standard deviation sqrt(2000 * .3 * .7) = 20.5
    assert np.abs(counts - 600).max() < 5 * 20.5


def test_disagreement_on_comparisons_by_hand() -> None:
    # Three candidates, two members, two responses; the members' score differences:
    # 0: (1, 1) agree, 1: (0.5, -0.5) differ about the winner, 2: (6, 9) differ in the logit only.
    scores = np.array([[[1, 0], [0.5, 0], [6, 0]], [[2, 1], [0, 0.5], [9, 0]]], dtype=float)
    assert select_by_disagreement(scores, 3, rng(), on="logit").tolist() == [2, 1, 0]
    assert select_by_disagreement(scores, 3, rng(), on="probability").tolist() == [1, 2, 0]
    assert select_by_disagreement(scores, 1, rng(), on="label").tolist() == [1]


def test_an_offset_between_members_is_no_disagreement_about_comparisons() -> None:
    scores = rng().normal(size=(1, 20, 2)) + np.array([0.0, 5.0, -3.0])[:, None, None]
    scores[2, 7, 0] += 1.0
    assert select_by_disagreement(scores, 1, rng(), on="logit").tolist() == [7]


def test_disagreement_on_scores_and_on_rankings() -> None:
    scores = np.array([[0.0, 0.0, 0.0], [0.1, 0.9, 0.3]])
    assert select_by_disagreement(scores, 3, rng()).tolist() == [1, 2, 0]
    three = np.zeros((2, 2, 3))
    three[1, 1] = (0.0, 1.0, 2.0)
    assert select_by_disagreement(three, 1, rng(), on="logit").tolist() == [1]


def test_spread_takes_the_widest() -> None:
    scores = np.array([[0.0, 1.0, 0.5], [3.0, 3.0, 3.0], [-2.0, 2.0, 0.0]])
    assert select_by_spread(scores, 2, rng()).tolist() == [2, 0]


def test_ties_are_broken_by_the_generator() -> None:
    first = {int(select_by_spread(np.zeros((5, 2)), 1, rng(seed))[0]) for seed in range(60)}
    assert first == set(range(5))


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (np.zeros((1, 4, 2)), {}, "at least 2 members, got 1"),
        (np.zeros((2, 4, 1)), {}, "at least 2 responses"),
        (np.zeros((2, 4, 2)), {"on": "entropy"}, "on must be one of"),
        (np.zeros(4), {}, "dimensions, got shape"),
        (np.full((2, 4, 2), np.nan), {}, "finite, got .*nan"),
        (np.zeros((2, 4, 2)), {"count": 5}, r"count must lie in 0..4 candidates, got 5"),
    ],
)
def test_bad_input_to_disagreement(scores: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select_by_disagreement(scores, **{"count": 1, "generator": rng(), **options})


def test_bad_input_to_the_others() -> None:
    with pytest.raises(ValueError, match="count must lie in"):
        select_random(3, 4, rng())
    with pytest.raises(ValueError, match="at least 2 responses each"):
        select_by_spread(np.zeros((3, 1)), 1, rng())
