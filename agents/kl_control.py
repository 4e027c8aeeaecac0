"""What sets the KL weight between rollouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class KLController(Protocol):
    """Holds the KL weight and moves it after each rollout."""

    kl_coef: float

    def update(self, kl: float, n_episodes: int) -> float:
        """Take a rollout's KL (nats per response, mean over episodes); return the new weight."""
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

    def update(self, kl: float, n_episodes: int) -> float:
        """Return the unchanged weight."""
        del kl, n_episodes
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

    def update(self, kl: float, n_episodes: int) -> float:
        """Move the weight after a rollout of `n_episodes` finished episodes and return it."""
        error = min(max(kl / self.target - 1.0, -0.2), 0.2)
        self.kl_coef *= 1.0 + error * n_episodes / self.horizon
        return self.kl_coef
