"""What customers want: an order with three slots, some of which the first message tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from textgym.envs_registry.draws import Draws, pick

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SLOTS: dict[str, tuple[str, ...]] = {
    "people": ("two", "three", "four", "five", "six"),
    "city": ("Rome", "Paris", "Vienna", "Madrid", "Lisbon", "Berlin"),
    "bed": ("single", "double", "king"),
    "nights": ("two", "three", "four", "five", "six"),
    "device": ("phone", "laptop", "bike", "heater", "camera"),
    "day": DAYS,
    "time": ("morning", "noon", "afternoon", "evening"),
}
ORDERS: dict[str, tuple[str, ...]] = {
    "table": ("people", "day", "time"),
    "train": ("city", "day", "time"),
    "room": ("bed", "nights", "day"),
    "repair": ("device", "day", "time"),
}
PATIENCE = (1, 2, 2, 3)
# How many of the three slots the first message tells.
TOLD = (0, 0, 1, 1, 2)


@dataclass(frozen=True, kw_only=True)
class Need:
    """One customer's need.

    Attributes:
        order: One of `ORDERS`.
        values: Slot to value, the three slots of the order.
        told: Slots that the first message tells.
        patience: How often the customer bears being annoyed; at the last time they leave.
    """

    order: str
    values: Mapping[str, str]
    told: tuple[str, ...]
    patience: int

    def __post_init__(self) -> None:
        """Refuse an order, slots or a patience that do not exist."""
        if self.order not in ORDERS:
            raise ValueError(f"order must be one of {tuple(ORDERS)}, got {self.order!r}")
        if tuple(self.values) != ORDERS[self.order]:
            raise ValueError(f"expected values of {ORDERS[self.order]}, got {dict(self.values)!r}")
        if self.patience < 1:
            raise ValueError(f"patience must be at least 1, got {self.patience!r}")

    def facts(self) -> dict[str, Any]:
        """The need as plain values, for `Prompt.facts`."""
        return {**asdict(self), "values": dict(self.values), "told": list(self.told)}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Need:
        """The need that `facts` made."""
        return cls(
            order=facts["order"],
            values=dict(facts["values"]),
            told=tuple(facts["told"]),
            patience=int(facts["patience"]),
        )


def draw_need(rng: Draws) -> Need:
    """A need: order, values, how much of it is told at first, and patience."""
    order = pick(tuple(ORDERS), rng)
    values = {slot: pick(SLOTS[slot], rng) for slot in ORDERS[order]}
    hidden = list(values)
    for _ in range(pick(TOLD, rng)):
        hidden.remove(pick(hidden, rng))
    told = tuple(slot for slot in values if slot not in hidden)
    return Need(order=order, values=values, told=told, patience=pick(PATIENCE, rng))
