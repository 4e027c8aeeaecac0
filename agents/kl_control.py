"""What sets the KL weight between rollouts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

FALLING_SHARE = 0.6


class KLController(Protocol):
    """Holds the KL weight and moves it after each rollout."""

    kl_coef: float

    def update(self, kl: float | None, n_episodes: int, done: float = 0.0) -> float:
        """Return the new weight.

        Args:
            kl: Of a rollout, nats per response, mean over episodes; None where none ended.
            n_episodes: How many ended.
            done: How much of training is done, in [0, 1].
        """
        ...


def _require_kl_coef(kl_coef: float) -> None:
    if not 0.0 <= kl_coef < float("inf"):
        raise ValueError(f"kl_coef must be finite and at least 0, got {kl_coef!r}")


@dataclass(kw_only=True)
class FixedKLController:
    """Keeps the KL weight where it is."""

    kl_coef: float

    def __post_init__(self) -> None:
        """Reject a weight that is no weight."""
        _require_kl_coef(self.kl_coef)

    def update(self, kl: float | None, n_episodes: int, done: float = 0.0) -> float:
        """Return the unchanged weight."""
        del kl, n_episodes, done
        return self.kl_coef


@dataclass(kw_only=True)
class AdaptiveKLController:
    """Proportional control of the KL weight towards a target, in log space.

    `error = clip(kl / target - 1, -0.2, 0.2)`; `kl_coef *= 1 + error * n_episodes / horizon`.

    Attributes:
        kl_coef: Weight now, above 0 (a weight of 0 could never move).
        target: KL wanted, nats summed over a response, above 0.
        horizon: Episodes over which an error of 1 would double the weight; clipped errors move
            it by at most 20 % per horizon. Above 0.
    """

    kl_coef: float
    target: float
    horizon: float = 10_000.0

    def __post_init__(self) -> None:
        """Reject values with which the control could not move."""
        _require_kl_coef(self.kl_coef)
        for name, value in (
            ("kl_coef", self.kl_coef),
            ("target", self.target),
            ("horizon", self.horizon),
        ):
            if not value > 0:
                raise ValueError(f"adaptive KL control needs {name} above 0, got {value!r}")

    def update(self, kl: float | None, n_episodes: int, done: float = 0.0) -> float:
        """Move the weight after a rollout of `n_episodes` finished episodes and return it."""
        del done
        if kl is None:
            return self.kl_coef
        error = min(max(kl / self.target - 1.0, -0.2), 0.2)
        self.kl_coef *= 1.0 + error * n_episodes / self.horizon
        return self.kl_coef


@dataclass(kw_only=True)
class FallingKLController:
    """Lowers the KL weight in a straight line from `start` to `final`, then keeps it there.

    At a large weight the optimum is near the reference and found at once, and each next one is near
    the last; at the final weight from the start a policy may settle on one of several good
    responses.

    Attributes:
        start: Weight at the beginning, at least `final`.
        final: Weight at the end.
        share: Part of training in which it falls, in (0, 1].
        kl_coef: Weight now; `start` where nothing is said.
    """

    start: float
    final: float
    share: float = FALLING_SHARE
    kl_coef: float = field(default=-1.0)

    def __post_init__(self) -> None:
        """Reject values with which the weight could not fall."""
        _require_kl_coef(self.final)
        _require_kl_coef(self.start)
        if self.start < self.final:
            raise ValueError(
                f"kl_start must be at least the weight at the end, {self.final}, got {self.start!r}"
            )
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"share must be in (0, 1], got {self.share!r}")
        if self.kl_coef < 0.0:
            self.kl_coef = self.start

    def update(self, kl: float | None, n_episodes: int, done: float = 0.0) -> float:
        """Move the weight to where it is when so much of training is done, and return it."""
        del kl, n_episodes
        fallen = min(done / self.share, 1.0)
        self.kl_coef = self.start + fallen * (self.final - self.start)
        return self.kl_coef
