"""Learning rates: a schedule that can be written down, and defaults by kind of model."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_LEARNING_RATES = {"bundled": 1e-3, "scratch": 1e-3, "pretrained": 3e-6}
DEFAULT_FINAL_FRACTIONS = {"bundled": 0.1, "scratch": 1.0, "pretrained": 1.0}
DEFAULT_WARMUPS = {"bundled": 0.0, "scratch": 0.0, "pretrained": 0.05}


@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """Linear warm-up, then linear decay, as a function of SB3's progress remaining.

    Attributes:
        peak: Highest rate, above 0.
        warmup: Share of training in which the rate rises from a tenth of `peak`, in [0, 1).
        final_fraction: Rate at the end as a share of `peak`, in [0, 1]; 1 keeps it constant.
    """

    peak: float
    warmup: float = 0.0
    final_fraction: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.peak > 0:
            raise ValueError(f"learning rate must be above 0, got {self.peak!r}")
        if not 0.0 <= self.warmup < 1.0:
            raise ValueError(f"warmup must be in [0, 1), got {self.warmup!r}")
        if not 0.0 <= self.final_fraction <= 1.0:
            raise ValueError(f"final_fraction must be in [0, 1], got {self.final_fraction!r}")

    def __call__(self, progress_remaining: float) -> float:
        """Give the rate where `progress_remaining` goes from 1 to 0."""
        done = min(max(1.0 - progress_remaining, 0.0), 1.0)
        if done < self.warmup:
            return self.peak * (0.1 + 0.9 * done / self.warmup)
        share = (done - self.warmup) / (1.0 - self.warmup)
        return self.peak * (1.0 - share * (1.0 - self.final_fraction))


def default_learning_rate(kind: str, final_fraction: float | None = None) -> LearningRate:
    """Give the default schedule of a kind of model, one of `model_kind`'s answers."""
    return LearningRate(
        peak=DEFAULT_LEARNING_RATES[kind],
        warmup=DEFAULT_WARMUPS[kind],
        final_fraction=DEFAULT_FINAL_FRACTIONS[kind] if final_fraction is None else final_fraction,
    )
