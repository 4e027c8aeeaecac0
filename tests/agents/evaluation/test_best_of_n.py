"""Best-of-n against enumeration and closed forms."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from textgym.agents.evaluation.best_of_n import (
    best_of_n,
    best_of_n_curve,
    exact_kl,
    kl_bound,
    sampled_kl,
    subset_weights,
)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_equals_the_average_over_all_subsets(n: int) -> None:
    rng = np.random.default_rng(0)
    scores, values = rng.normal(size=7), rng.normal(size=7)
    best = [max(subset, key=lambda i: scores[i]) for subset in combinations(range(7), n)]
    assert best_of_n(scores, values, n) == pytest.approx(np.mean(values[best]))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_ties_win_equally_often(n: int) -> None:
    scores, values = np.array([1.0, 0.0, 1.0, 0.0, 2.0, 1.0]), np.arange(6.0)
    means = []
    for subset in combinations(range(6), n):
        top = max(scores[list(subset)])
        means.append(np.mean([values[i] for i in subset if scores[i] == top]))
    assert best_of_n(scores, values, n) == pytest.approx(np.mean(means))


def test_is_unbiased_for_fresh_samples() -> None:
    rng = np.random.default_rng(1)
    found = [best_of_n(draw, draw, 4) for draw in rng.uniform(size=(4000, 8))]
    assert np.mean(found) == pytest.approx(4 / 5, abs=0.005)  # the mean of the maximum of four


@pytest.mark.parametrize(("count", "n"), [(1, 1), (5, 5), (1000, 1), (2000, 700)])
def test_weights_are_a_distribution(count: int, n: int) -> None:
    weights = subset_weights(count, n)
    assert weights.shape == (count,) and (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, rel=1e-9)


def test_curve_averages_over_prompts() -> None:
    scores, values = [[0.0, 1.0], [5.0, 3.0]], [[10.0, 20.0], [1.0, 2.0]]
    first, second = best_of_n_curve(scores, values, (1, 2))
    assert first.mean == pytest.approx((15 + 1.5) / 2)
    assert second.mean == pytest.approx((20 + 1) / 2) and second.count == 2


def _enumerated_kl(scores: list[float], p: np.ndarray, n: int) -> float:
    """Draw every tuple of n outcomes; the best wins, ties at random."""
    q = np.zeros(len(p))
    for draw in product(range(len(p)), repeat=n):
        top = [i for i in draw if scores[i] == max(scores[j] for j in draw)]
        for i in top:
            q[i] += np.prod(p[list(draw)]) / len(top)
    return float(np.sum(q * np.log(q / p)))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_exact_kl_equals_the_enumeration(n: int) -> None:
    scores, p = [0.3, 1.0, 0.3, -2.0], np.array([0.1, 0.2, 0.3, 0.4])
    assert exact_kl(scores, p, n) == pytest.approx(_enumerated_kl(scores, p, n), abs=1e-12)


def test_the_formula_is_only_a_bound_where_scores_are_few() -> None:
    def levels(count: int) -> float:
        return exact_kl(np.arange(count), np.full(count, 1 / count), 256)

    assert kl_bound(256) == pytest.approx(4.549, abs=1e-3)
    # With two equal levels the better one is all but certain: KL = log 2 nearly.
    assert levels(2) == pytest.approx(np.log(2), abs=1e-6)
    assert levels(2) < levels(10) < levels(100) < levels(4096) < kl_bound(256)
    assert levels(4096) == pytest.approx(kl_bound(256), rel=1e-2)


def test_sampled_kl_lies_between_the_two() -> None:
    rng = np.random.default_rng(2)
    assert sampled_kl(rng.normal(size=50), 16) == pytest.approx(kl_bound(16))
    few = np.repeat([0.0, 1.0, 2.0], [5, 3, 2])
    assert sampled_kl(few, 16) == pytest.approx(exact_kl([0, 1, 2], [0.5, 0.3, 0.2], 16))
    mixed = np.concatenate([rng.normal(size=20), np.zeros(20)])
    assert sampled_kl(mixed, 4) < kl_bound(4)
    assert sampled_kl([3.0, 3.0], 9) == pytest.approx(0)  # one outcome: nothing to choose


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="number of samples, got 3"):
        best_of_n([1.0, 2.0], [1.0, 2.0], 3)
    with pytest.raises(ValueError, match="got 0"):
        kl_bound(0)
    with pytest.raises(ValueError, match="one length"):
        best_of_n([1.0, 2.0], [1.0], 1)
    with pytest.raises(ValueError, match="finite"):
        best_of_n([1.0, np.nan], [1.0, 2.0], 1)
    with pytest.raises(ValueError, match="sum to 1"):
        exact_kl([0.0, 1.0], [0.5, 0.6], 2)
    with pytest.raises(ValueError, match=r"\(P, N\)"):
        best_of_n_curve([1.0], [1.0], (1,))
