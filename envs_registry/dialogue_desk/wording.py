"""How customers and agents put things into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textgym.envs_registry.dialogue_desk.needs import Need
from textgym.envs_registry.draws import Draws, pick

CUSTOMER, AGENT = "Customer:", "Agent:"

GREETINGS = ("Hello.", "Hi.", "Good morning.")
WANTS = ("I need {order}.", "I would like {order}.", "Please get me {order}.")
NOUNS = {"table": "a table", "train": "a train ticket", "room": "a room", "repair": "a repair"}
MOODS = {1: "I am in a hurry.", 3: "Take your time."}
MOOD_SHOWN = 0.7

PHRASES = {
    "people": "for {value}",
    "city": "to {value}",
    "bed": "with a {value} bed",
    "nights": "for {value} nights",
    "device": "for my {value}",
    "day": "on {value}",
}

ANSWERS = ("{phrase}.", "{phrase}, please.", "It is {phrase}.")
REPEATS = ("I told you, {phrase}.", "As I said, {phrase}.")
CORRECTIONS = ("No, {phrase}.", "Wrong, {phrase}.")
PUZZLED = ("What do you mean?", "I do not understand.")
THANKS = ("Thank you, goodbye.", "Great, thank you.")
LEAVING = ("Forget it.", "I am leaving.")

QUESTIONS = {
    "people": ("For how many people?", "How many people will come?"),
    "city": ("To which city?", "Which city do you want?"),
    "bed": ("Which bed would you like?", "What kind of bed?"),
    "nights": ("For how many nights?", "How many nights will you stay?"),
    "device": ("What shall we repair?", "What is broken?"),
    "day": ("On which day?", "Which day suits you?"),
    "time": ("At what time?", "Which time suits you?"),
}
SHORT_QUESTIONS = {
    "people": "how many people",
    "city": "which city",
    "bed": "which bed",
    "nights": "how many nights",
    "device": "what is broken",
    "day": "which day",
    "time": "what time",
}
POLITE = ("Sure.", "Of course.", "Gladly.")
BOOKINGS = ("Booked: {order}.", "I have booked {order}.", "Done, I booked {order}.")
FILLERS = ("One moment.", "Let me see.", "I will check that for you.")


def phrase(slot: str, value: str) -> str:
    """A slot's value in words: "on Friday", "at noon", "in the morning"."""
    if slot == "time":
        return "at noon" if value == "noon" else f"in the {value}"
    return PHRASES[slot].format(value=value)


def phrases(values: Mapping[str, str], slots: Sequence[str]) -> str:
    """Several slots in words, in the order given."""
    return " ".join(phrase(slot, values[slot]) for slot in slots)


def order_text(order: str, values: Mapping[str, str], slots: Sequence[str]) -> str:
    """An order with some of its slots: "a table for four on Friday"."""
    return " ".join([NOUNS[order], *(phrase(slot, values[slot]) for slot in slots)])


def capitalised(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def first_message(need: Need, rng: Draws) -> str:
    """What the customer opens with."""
    parts = [pick(GREETINGS, rng)] if rng.random() < 0.5 else []
    parts.append(pick(WANTS, rng).format(order=order_text(need.order, need.values, need.told)))
    if need.patience in MOODS and rng.random() < MOOD_SHOWN:
        parts.append(MOODS[need.patience])
    return " ".join(parts)


def question(slots: Sequence[str], rng: Draws) -> str:
    """An agent's question about one slot or two."""
    text = pick(QUESTIONS[slots[0]], rng)
    if len(slots) == 2:
        text = f"{text.removesuffix('?')}, and {SHORT_QUESTIONS[slots[1]]}?"
    return text


def booking(order: str, values: Mapping[str, str], rng: Draws) -> str:
    """An agent's booking of all slots that it has a value for."""
    return pick(BOOKINGS, rng).format(order=order_text(order, values, tuple(values)))
