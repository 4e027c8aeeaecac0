"""What feedback costs, and the budget that it is paid from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from textgym.feedback.checks import check_fraction, is_number
from textgym.feedback.knobs import parse_knobs
from textgym.feedback.queries import QUERY_KINDS, Query


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Price of one answer by its kind, in any unit (labels, minutes, euros).

    Attributes:
        score: For a score.
        comparison: For a comparison.
        ranking: For each response of a ranking.
        language: For words.
        demonstration: For a demonstration.
        correction: For a correction.
        action: On top, for each token or step that there is to read.
        skip_share: Share of the price that a skipped query costs all the same, in [0, 1].
    """

    score: float = 1.0
    comparison: float = 1.0
    ranking: float = 1.0
    language: float = 1.0
    demonstration: float = 1.0
    correction: float = 1.0
    action: float = 0.0
    skip_share: float = 0.0

    def __post_init__(self) -> None:
        """Reject negative prices."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not (is_number(value) and 0 <= value < math.inf):
                raise ValueError(
                    f"the price {field.name} must be a finite number of at least 0, got {value!r}"
                )
        check_fraction("skip_share", self.skip_share)

    @classmethod
    def parse(cls, text: str) -> Prices:
        """Read "score=1,action=0.01,skip_share=0.5"; an empty text is 1 an answer.

        Raises:
            ValueError: Not of that form, an unknown price (the nearest is named), or a bad value.
        """
        return cls(**parse_knobs(text, {field.name: float for field in fields(cls)}, "the prices"))

    def of(self, query: Query) -> float:
        """Return what one answer to the query costs."""
        base = float(self._by_kind()[query.kind])
        if query.kind == "ranking":
            base *= len(query.responses)
        return base + self.action * query.num_actions

    def cheapest(self) -> float:
        """Return the least that a label of any kind can cost."""
        by_kind = self._by_kind()
        return min(price * (2 if kind == "ranking" else 1) for kind, price in by_kind.items())

    def _by_kind(self) -> dict[str, float]:
        return {kind: getattr(self, kind) for kind in QUERY_KINDS}


class Budget:
    """Money for feedback: reserved when a question is asked, spent when it is answered.

    Attributes:
        total: What there is in all; infinite by default.
        spent: Paid for answers. Late answers are paid for too, so it can pass `total`.
        reserved: Promised to questions that are open.
    """

    def __init__(self, total: float | None, prices: Prices) -> None:
        """Make a full budget.

        Raises:
            ValueError: It cannot buy one label of any kind.
        """
        if total is not None and not (is_number(total) and 0 <= total < math.inf):
            raise ValueError(f"budget must be a finite number of at least 0, got {total!r}")
        if total is not None and total < prices.cheapest():
            raise ValueError(
                f"budget {total!r} cannot buy one label: the cheapest costs {prices.cheapest()!r}"
            )
        self.total = math.inf if total is None else float(total)
        self.spent = 0.0
        self.reserved = 0.0

    @property
    def left(self) -> float:
        """What new questions can be asked for, at least 0."""
        return max(0.0, self.total - self.spent - self.reserved)

    def reserve(self, price: float) -> bool:
        """Set `price` aside, or return False where there is too little left."""
        tolerance = 1e-9 * max(1.0, self.spent + self.reserved)
        if price > self.left + tolerance:
            return False
        self.reserved += price
        return True

    def release(self, price: float) -> None:
        """Give back what was set aside."""
        self.reserved = max(0.0, self.reserved - price)

    def pay(self, price: float) -> None:
        """Spend."""
        self.spent += price

    def state_dict(self) -> dict[str, Any]:
        """Return what was spent; reservations follow from the open questions."""
        return {"spent": self.spent}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned; nothing is reserved then."""
        self.spent, self.reserved = float(state["spent"]), 0.0
