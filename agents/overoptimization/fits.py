"""How a reward rises and falls with d, the square root of the KL from the reference: two forms.

"quadratic", best-of-n's: R(d) = d (alpha - beta d), with its peak at alpha / (2 beta).
"logarithmic", reinforcement learning's: R(d) = d (alpha - beta log d), with its peak at
exp(alpha / beta - 1); its slope at 0 is infinite, so that it says nothing of the beginning. After
Gao, Schulman and Hilton 2022. R is counted from the reference: R(0) = 0. Shape letter: P points.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import exp, log

import numpy as np
from numpy.typing import ArrayLike

FORMS = ("quadratic", "logarithmic")


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One form, fitted.

    Attributes:
        form: One of `FORMS`.
        alpha: See the module.
        beta: See the module; at or below 0 there is no peak.
        r_squared: Share of the spread around the mean that the form explains; may be below 0.
        max_d: Largest d that was fitted.
    """

    form: str
    alpha: float
    beta: float
    r_squared: float
    max_d: float

    def __call__(self, d: ArrayLike) -> np.ndarray:
        """Return R at each d, (P,); d at least 0."""
        x = np.asarray(d, dtype=np.float64)
        return self.alpha * x - self.beta * _second_term(self.form, x)

    @property
    def peak(self) -> float | None:
        """Where R is highest; None where it never falls."""
        if self.beta <= 0:
            return None
        if self.form == "quadratic":
            return self.alpha / (2 * self.beta) if self.alpha > 0 else 0.0
        exponent = self.alpha / self.beta - 1
        return exp(exponent) if exponent < 700 else None

    @property
    def peak_seen(self) -> float | None:
        """The peak where it lies among the fitted points, else None: beyond them it is a guess."""
        peak = self.peak
        return peak if peak is not None and peak <= self.max_d else None

    def as_dict(self) -> dict[str, float | str | None]:
        """Return plain values for a JSON file."""
        return {**asdict(self), "peak": self.peak, "peak_seen": self.peak_seen}


def fit(form: str, d: ArrayLike, rewards: ArrayLike) -> Fit | None:
    """Fit one form by least squares.

    Args:
        form: One of `FORMS`.
        d: (P,) square roots of KLs, at least 0.
        rewards: (P,) counted from the reference's mean.

    Returns:
        The fit; None where fewer than three points have d above 0, or all the same d.

    Raises:
        ValueError: An unknown form, different lengths, numbers that are not finite, or negative d.
    """
    x, y = np.asarray(d, dtype=np.float64), np.asarray(rewards, dtype=np.float64)
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}")
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"d and rewards must have one length, got shapes {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (x >= 0).all()):
        raise ValueError(f"expected finite rewards and finite d >= 0, got d={x!r}, rewards={y!r}")
    moved = x > 0
    if moved.sum() < 3:
        return None
    columns = np.stack([x, -_second_term(form, x)], axis=1)[moved]
    solution, _, rank, _ = np.linalg.lstsq(columns, y[moved], rcond=None)
    if rank < 2:
        return None
    residual = y[moved] - columns @ solution
    spread = float(((y[moved] - y[moved].mean()) ** 2).sum())
    return Fit(
        form=form,
        alpha=float(solution[0]),
        beta=float(solution[1]),
        r_squared=1 - float(residual @ residual) / spread if spread > 0 else 0.0,
        max_d=float(x.max()),
    )


def distance(kl: ArrayLike) -> np.ndarray:
    """Return the square root of KLs in nats; estimates below 0 count as 0."""
    return np.sqrt(np.maximum(np.asarray(kl, dtype=np.float64), 0.0))


def _second_term(form: str, d: np.ndarray) -> np.ndarray:
    """Return what beta is multiplied by, (P,)."""
    if form == "quadratic":
        return d * d
    logs = np.array([log(x) if x > 0 else 0.0 for x in d.ravel()]).reshape(d.shape)
    return d * logs
