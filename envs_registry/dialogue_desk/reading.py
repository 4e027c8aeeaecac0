"""What a transcript says: the agent's acts and how the case stands. A pure function of its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from textgym.envs_registry.dialogue_desk.needs import SLOTS, Need

# Words that make a question one about a slot.
ASKS = {
    "people": "people",
    "city": "city",
    "bed": "bed",
    "nights": "nights",
    "device": "(repair|broken)",
    "day": "day",
    "time": "time",
}
_QUESTION = re.compile(r"[^.?]*\?")
_BOOKED = re.compile(r"\bbooked\b")
_WORD = re.compile(r"[a-z]+")

Spoken = Sequence[tuple[bool, str]]
"""What was said, in order: whether the agent said it, and the text."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """What one turn of the agent did.

    Attributes:
        kind: "solved", "wrong" (a booking that is not what was wanted), "asked" (at least one slot
            that was not known), "repeated" (only slots that were told before), "unclear".
        slots: Slots asked for, or the slots of a wrong booking that are wrong or missing.
    """

    kind: str
    slots: tuple[str, ...] = ()

    @property
    def annoys(self) -> bool:
        """Whether it costs patience."""
        return self.kind in ("wrong", "repeated", "unclear")


@dataclass(kw_only=True)
class Case:
    """How a case stands.

    Attributes:
        need: What the customer wants.
        known: Slots that the customer has told.
        latest: Slots that their last answer told, in the order of the need.
        acts: The agent's turns, in order.
    """

    need: Need
    known: set[str] = field(default_factory=set)
    latest: tuple[str, ...] = ()
    acts: list[Act] = field(default_factory=list)

    @property
    def annoyances(self) -> int:
        """How often patience was lost."""
        return sum(act.annoys for act in self.acts)

    @property
    def is_solved(self) -> bool:
        """Whether the order was booked as it was wanted."""
        return bool(self.acts) and self.acts[-1].kind == "solved"

    @property
    def is_given_up(self) -> bool:
        """Whether the customer's patience is at its end."""
        return self.annoyances >= self.need.patience

    @property
    def missing(self) -> tuple[str, ...]:
        """Slots that the first message did not tell."""
        return tuple(slot for slot in self.need.values if slot not in self.need.told)

    def hear_customer(self, text: str) -> None:
        """Note which slots the customer tells."""
        words = set(_words(text))
        told = (s for s, value in self.need.values.items() if value.lower() in words)
        self.latest = tuple(told)
        self.known |= set(self.latest)

    def hear_agent(self, text: str) -> Act:
        """Read a turn of the agent; what it did is also in `acts`."""
        act = self._act(text.lower())
        self.acts.append(act)
        return act

    def _act(self, text: str) -> Act:
        if _BOOKED.search(text):
            wrong = wrong_slots(self.need, text)
            return Act(kind="wrong", slots=wrong) if wrong else Act(kind="solved")
        questions = " ".join(_QUESTION.findall(text))
        asked = tuple(s for s in self.need.values if re.search(rf"\b{ASKS[s]}\b", questions))
        if not asked:
            return Act(kind="unclear")
        is_new = any(slot not in self.known for slot in asked)
        return Act(kind="asked" if is_new else "repeated", slots=asked)


def wrong_slots(need: Need, booking: str) -> tuple[str, ...]:
    """Slots of a booking that are missing, wrong, or named with several values.

    A booking of something else is wrong in all of them.
    """
    words = set(_words(booking))
    if need.order not in words:
        return tuple(need.values)
    return tuple(
        slot
        for slot, value in need.values.items()
        if {v.lower() for v in SLOTS[slot]} & words != {value.lower()}
    )


def read_case(need: Need, spoken: Spoken) -> Case:
    """Follow a conversation behind its first message.

    Args:
        need: What the customer wants; what the first message told is known.
        spoken: What was said since. Nothing is read behind a turn that solved the case or cost
            the last patience.
    """
    case = Case(need=need, known=set(need.told))
    for is_agent, text in spoken:
        if case.is_solved or case.is_given_up:
            break
        if is_agent:
            case.hear_agent(text)
        else:
            case.hear_customer(text)
    return case


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
