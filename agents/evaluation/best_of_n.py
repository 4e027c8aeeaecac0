"""Best-of-n: what the best of n samples by one score is worth by another, and how far it lies.

Pure functions of arrays. Shape letters: `P` prompts, `N` samples of a prompt, `K` outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lgamma

import numpy as np
from numpy.typing import ArrayLike

from textgym.intervals import Estimate, mean_interval


def best_of_n(scores: ArrayLike, values: ArrayLike, n: int) -> float:
    """Return the expected value of the sample that scores best among n, without bias.

    The average over all subsets of n of the N samples, in closed form: sorted by score, sample i
    (from 1) is the best of a subset with probability C(i-1, n-1) / C(N, n). Samples of equal score
    win equally often, as under a random tie-break.

    Args:
        scores: (N,) what the best is chosen by.
        values: (N,) what is averaged; `scores` themselves for the proxy's own curve.
        n: Samples to choose among, 1 to N.

    Raises:
        ValueError: n outside [1, N], different lengths, or numbers that are not finite.
    """
    ranked, valued = _checked(scores), _checked(values)
    if ranked.shape != valued.shape:
        raise ValueError(
            f"scores and values must have one length, got {ranked.size} and {valued.size}"
        )
    weights = subset_weights(ranked.size, n)
    _, level, counts = np.unique(ranked, return_inverse=True, return_counts=True)
    order = np.argsort(ranked, kind="stable")
    shares = np.bincount(level[order], weights=weights) / counts
    return float(shares[level] @ valued)


def subset_weights(num_samples: int, n: int) -> np.ndarray:
    """Return (N,): how likely the i-th lowest of N samples is the highest of a random n of them.

    Raises:
        ValueError: n outside [1, N].
    """
    if not 1 <= n <= num_samples:
        raise ValueError(f"n must lie in [1, {num_samples}], the number of samples, got {n!r}")
    ranks = range(n, num_samples + 1)
    logs = [_log_choose(rank - 1, n - 1) - _log_choose(num_samples, n) for rank in ranks]
    return np.concatenate([np.zeros(n - 1), np.exp(logs)])


def best_of_n_curve(
    scores: ArrayLike, values: ArrayLike, ns: Sequence[int]
) -> tuple[Estimate, ...]:
    """Return the mean over prompts of `best_of_n` at each n, with an interval over prompts.

    Args:
        scores: (P, N) what the best of each prompt is chosen by.
        values: (P, N) what is averaged.
        ns: Each 1 to N.

    Raises:
        ValueError: As `best_of_n`, or arrays that are not (P, N).
    """
    ranked, valued = np.asarray(scores), np.asarray(values)
    if ranked.ndim != 2 or ranked.shape != valued.shape:
        raise ValueError(
            f"scores and values must both be (P, N), got shapes {ranked.shape} and {valued.shape}"
        )
    return tuple(
        mean_interval([best_of_n(s, v, n) for s, v in zip(ranked, valued, strict=True)]) for n in ns
    )


def kl_bound(n: int) -> float:
    """Return log n - (n - 1) / n, in nats.

    The KL of best-of-n from the distribution that is sampled where scores never tie; where they
    may, as wherever outcomes are few, only an upper bound.

    Raises:
        ValueError: n below 1.
    """
    _check_n(n)
    return float(np.log(n) - (n - 1) / n)


def exact_kl(scores: ArrayLike, probabilities: ArrayLike, n: int) -> float:
    """Return the KL of best-of-n from the distribution that is sampled, in nats.

    Exact for finitely many outcomes under a random tie-break: outcomes of one score are chosen in
    proportion to their probability, so that only the levels of the score matter.

    Args:
        scores: (K,) of each outcome.
        probabilities: (K,) of each outcome, at least 0, sum 1.
        n: Samples to choose among, at least 1.

    Raises:
        ValueError: n below 1, different lengths, or no distribution.
    """
    _check_n(n)
    ranked, weights = _checked(scores), _checked(probabilities)
    if ranked.shape != weights.shape:
        raise ValueError(
            f"scores and probabilities must have one length, got {ranked.size} and {weights.size}"
        )
    if (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
        raise ValueError(f"probabilities must be >= 0 and sum to 1, got sum {weights.sum()!r}")
    _, level = np.unique(ranked, return_inverse=True)
    by_level = np.bincount(level, weights=weights)
    return float(_atoms_kl(by_level[by_level > 0], n).sum())


def sampled_kl(scores: ArrayLike, n: int) -> float:
    """Estimate the KL of best-of-n from N samples of a score, in nats.

    A score seen more than once is taken for an outcome of its own, of the probability seen; between
    them scores are taken for continuous. So the estimate is `kl_bound(n)` where no two samples tie
    and `exact_kl` of the observed frequencies where all do.

    Args:
        scores: (N,) samples of one prompt.
        n: Samples to choose among, at least 1.

    Raises:
        ValueError: n below 1, no samples, or scores that are not finite.
    """
    _check_n(n)
    _, counts = np.unique(_checked(scores), return_counts=True)
    shares = counts / counts.sum()
    upper = np.cumsum(shares)
    smooth = _continuous_kl(upper, n) - _continuous_kl(upper - shares, n)
    return float(np.where(counts > 1, _atoms_kl(shares, n), smooth).sum())


def _atoms_kl(shares: np.ndarray, n: int) -> np.ndarray:
    """Terms q log(q / p) of levels in rising order, q = F_k^n - F_{k-1}^n."""
    upper = np.minimum(np.cumsum(shares), 1.0)
    lower = np.concatenate([[0.0], upper[:-1]])
    # F_k^n (1 - (F_{k-1} / F_k)^n) keeps its digits where the two powers nearly agree.
    with np.errstate(divide="ignore"):
        log_ratio = n * np.log(lower / upper)
    log_q = n * np.log(upper) + np.log(-np.expm1(log_ratio))
    return np.exp(log_q) * (log_q - np.log(shares))


def _continuous_kl(quantile: np.ndarray, n: int) -> np.ndarray:
    """Integral from 0 to `quantile` of f log f, where f(u) = n u^(n-1)."""
    u = np.clip(quantile, np.finfo(np.float64).tiny, 1.0)
    power = u**n
    return power * np.log(n) + (n - 1) * power * (np.log(u) - 1 / n)


def _log_choose(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)


def _check_n(n: int) -> None:
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n!r}")


def _checked(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers, at least one, got {array[:5]!r}")
    return array
