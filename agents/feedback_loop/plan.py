"""How a run of active rounds spends its steps and its money."""

from __future__ import annotations

from dataclasses import dataclass

from textgym.feedback.checks import check_fraction, is_number


@dataclass(frozen=True, kw_only=True)
class LoopPlan:
    """Rounds, steps and money of one run.

    Attributes:
        budget: What the labels may cost in all, in the unit of the prices.
        rounds: Rounds of asking, at least 1; after each the reward is learned anew and the policy
            is improved.
        initial_share: Share of the budget that is spent in the first round, about what the
            untrained policy does; the rest is spread evenly.
        total_steps: Steps of the environment in all, for recording and improving; None: what suits
            the environment.
        initial_share_of_steps: Share of the steps that the untrained policy makes first.
        eval_episodes: Episodes played to measure the true return, at least 1.
        seed: Of everything, at least 0.
    """

    budget: float = 200.0
    rounds: int = 8
    initial_share: float = 0.25
    total_steps: int | None = None
    initial_share_of_steps: float = 0.04
    eval_episodes: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Reject numbers without a meaning; the budget's least is the prices' matter."""
        if not (is_number(self.budget) and 0 <= self.budget < float("inf")):
            raise ValueError(f"budget must be a finite number of at least 0, got {self.budget!r}")
        for name in ("rounds", "eval_episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if self.total_steps is not None and self.total_steps < 1:
            raise ValueError(f"total_steps must be at least 1, got {self.total_steps!r}")
        check_fraction("initial_share", self.initial_share)
        check_fraction("initial_share_of_steps", self.initial_share_of_steps)
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed!r}")

    def budget_until(self, round_index: int) -> float:
        """Return what may have been spent by the end of a round, from 0."""
        if round_index >= self.rounds - 1:
            return self.budget
        later = (1 - self.initial_share) * round_index / (self.rounds - 1)
        return self.budget * (self.initial_share + later)

    def steps_of(self, round_index: int, total_steps: int) -> int:
        """Return the steps of a round; round `rounds` is the last improvement, without asking."""
        initial = int(total_steps * self.initial_share_of_steps)
        if round_index == 0:
            return max(1, initial)
        return max(1, (total_steps - initial) // self.rounds)
