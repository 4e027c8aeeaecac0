"""How a text environment is learned from feedback in rounds: the questions, and PPO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textgym.feedback.checks import check_choice, check_integer
from textgym.feedback.prices import Prices
from textgym.feedback.segment_feedback import SELECTIONS

KINDS = ("comparison", "score", "language")
RESPONSES = {"comparison": 2, "score": 1, "language": 1}


@dataclass(frozen=True, kw_only=True)
class TextLoopSettings:
    """Questions and PPO.

    Attributes:
        feedback_kind: "comparison", "score" or "language", or several joined by "+": they are
            asked in equal numbers.
        selection: Which responses are asked about: "random"; "disagreement", where the members of
            the reward's ensemble disagree most; "spread", pairs whose rewards differ most. Before
            the first reward all are random.
        candidates: Groups of responses that are sampled for each question that is chosen otherwise
            than at random, at least 1.
        n_reference: Responses of the reference model that give the teacher its units and the
            reward its scale, at least 2.
        n_envs: Episodes that PPO plays side by side, at least 1.
        kl_coef: Weight of the KL penalty; None keeps the environment's.
        policy_learning_rate: PPO's learning rate, constant; None for the highest of the default
            schedule for this kind of model.
        ppo: Other arguments of PPO.
    """

    feedback_kind: str = "comparison"
    selection: str = "random"
    candidates: int = 4
    n_reference: int = 256
    n_envs: int = 64
    kl_coef: float | None = None
    policy_learning_rate: float | None = None
    ppo: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reject settings without a meaning."""
        for kind in self.kinds:
            check_choice("feedback_kind", kind, KINDS)
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError(f"feedback_kind names a kind twice, got {self.feedback_kind!r}")
        check_choice("selection", self.selection, SELECTIONS)
        if self.selection == "spread" and self.kinds != ("comparison",):
            raise ValueError(
                f"selection 'spread' compares two responses, got feedback_kind "
                f"{self.feedback_kind!r}"
            )
        for name, least in (("candidates", 1), ("n_reference", 2), ("n_envs", 1)):
            check_integer(name, getattr(self, name), least=least)
        for name in ("kl_coef", "policy_learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of feedback, in the order in which they are asked."""
        return tuple(self.feedback_kind.split("+"))

    def prices_of(self, prices: Prices, num_actions: int) -> dict[str, float]:
        """Return what a question of each kind costs about responses of so many tokens."""
        return {
            kind: getattr(prices, kind) + prices.action * num_actions * RESPONSES[kind]
            for kind in self.kinds
        }

    def counts(self, money: float, costs: Mapping[str, float]) -> dict[str, int]:
        """Return how many questions of each kind the money pays for, as equal as possible."""
        if not all(cost > 0 for cost in costs.values()):
            raise ValueError(f"expected prices above 0 for {self.feedback_kind!r}, got {costs!r}")
        left = money * (1 + 1e-9) + 1e-9
        each = int(left / sum(costs.values()))
        left -= each * sum(costs.values())
        found = {}
        for kind, cost in costs.items():
            found[kind] = each + (1 if cost <= left else 0)
            left -= cost * (found[kind] - each)
        return found
