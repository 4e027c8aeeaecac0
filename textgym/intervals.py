"""Means and shares with intervals: the one place that says how sure a measured number is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured number, the interval around it, and how many measurements it rests on.

    Attributes:
        mean: The number itself.
        low: Lower end of the interval.
        high: Upper end of the interval.
        count: Measurements, at least 1.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def half_width(self) -> float:
        """Half the length of the interval (the "±" of a symmetric one)."""
        return (self.high - self.low) / 2

    def as_dict(self) -> dict[str, float | int]:
        """Return plain numbers for a JSON file."""
        return asdict(self)

    def __str__(self) -> str:
        """Write the number and its interval with three decimals."""
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_interval(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Mean of independent values with a normal interval.

    Args:
        values: (N,) numbers, N at least 1. One value alone gives an interval of width 0.
        level: Coverage, in (0, 1).

    Raises:
        ValueError: No values, values that are not finite, or a level outside (0, 1).
    """
    array = _finite(values)
    spread = float(array.std(ddof=1)) if array.size > 1 else 0.0
    half = _quantile(level) * spread / np.sqrt(array.size)
    mean = float(array.mean())
    return Estimate(mean=mean, low=mean - half, high=mean + half, count=int(array.size))


def bootstrap_interval(
    columns: Sequence[ArrayLike],
    statistic: Callable[..., float],
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Percentile bootstrap of any statistic of rows that are drawn together.

    Args:
        columns: Arrays of the same length N; row i of all of them is one measurement.
        statistic: Takes the (resampled) columns and returns a number.
        level: Coverage, in (0, 1).
        n_resamples: Resampled data sets, at least 1.
        seed: Seed of the resampling.

    Raises:
        ValueError: As for `mean_interval`, or columns of different lengths.
    """
    arrays = [_finite(column) for column in columns]
    sizes = {array.size for array in arrays}
    if len(sizes) != 1:
        raise ValueError(f"columns must have one common length, got lengths {sorted(sizes)}")
    size, tail = sizes.pop(), (1 - _checked_level(level)) / 2
    rng = np.random.default_rng(seed)
    draws = [rng.integers(size, size=size) for _ in range(n_resamples)]
    replicates = [float(statistic(*(array[rows] for array in arrays))) for rows in draws]
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return Estimate(mean=float(statistic(*arrays)), low=float(low), high=float(high), count=size)


def ratio_interval(numerator: ArrayLike, denominator: ArrayLike, seed: int = 0) -> Estimate:
    """Ratio of two means over the same items, with a paired bootstrap interval of 95 %.

    Raises:
        ValueError: As for `bootstrap_interval`, or a denominator whose mean is 0.
    """
    if float(np.mean(_finite(denominator))) == 0:
        raise ValueError("the mean of the denominator must not be 0, got 0.0")
    return bootstrap_interval(
        (numerator, denominator), lambda top, bottom: top.mean() / bottom.mean(), seed=seed
    )


def paired_difference(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Estimate:
    """Mean of `first - second`, measured on the same items, with a normal interval.

    Raises:
        ValueError: As for `mean_interval`, or different lengths.
    """
    left, right = _finite(first), _finite(second)
    if left.size != right.size:
        raise ValueError(f"paired values must have one length, got {left.size} and {right.size}")
    return mean_interval(left - right, level)


def wilson_interval(successes: float, count: int, level: float = 0.95) -> Estimate:
    """Share of successes with Wilson's score interval, which stays inside [0, 1].

    Args:
        successes: How many, from 0 to `count`; a tie may count half.
        count: Trials, at least 1.
        level: Coverage, in (0, 1).

    Raises:
        ValueError: No trials, or successes outside [0, count].
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(
            f"expected 0 <= successes <= count, count >= 1, got {successes!r}/{count!r}"
        )
    share, z = successes / count, _quantile(level)
    scale = 1 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return Estimate(mean=share, low=min(low, share), high=max(high, share), count=count)


def _finite(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if array.size == 0:
        raise ValueError("expected at least one value, got none")
    if not np.isfinite(array).all():
        raise ValueError(f"expected finite values, got {array[~np.isfinite(array)][0]!r}")
    return array


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level!r}")
    return level


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + _checked_level(level)) / 2)
