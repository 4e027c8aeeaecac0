"""The words of reviews: what is reviewed, what one may think of it, and how much that says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A kind of thing that is reviewed.

    Attributes:
        settings: First sentences, with `{day}`, `{month}`, `{person}` or `{number}`.
        singular: Aspects that take "was".
        plural: Aspects that take "were".
    """

    settings: tuple[str, ...]
    singular: tuple[str, ...]
    plural: tuple[str, ...]

    @property
    def aspects(self) -> tuple[str, ...]:
        """All aspects."""
        return self.singular + self.plural


SUBJECTS: dict[str, Subject] = {
    "hotel": Subject(
        settings=(
            "We stayed there for {number} nights in {month}.",
            "I was there with {person} in {month}.",
            "{person} and I took a room for {number} nights.",
            "We came on {day} and left after {number} days.",
            "It was my trip with {person} in {month}.",
        ),
        singular=("bed", "view", "pool", "staff", "garden", "breakfast", "bathroom", "lobby"),
        plural=("rooms", "towels", "prices", "windows"),
    ),
    "film": Subject(
        settings=(
            "I saw it on {day} with {person}.",
            "{person} and I saw it in {month}.",
            "We went to see it on {day}.",
            "I have seen it {number} times since {month}.",
            "{person} took me to see it on {day}.",
        ),
        singular=("plot", "acting", "music", "ending", "cast", "story", "camera work", "humor"),
        plural=("actors", "jokes", "songs", "costumes"),
    ),
    "restaurant": Subject(
        settings=(
            "We had dinner there on {day}.",
            "I ate there with {person} in {month}.",
            "{person} and I went there on {day}.",
            "We were {number} people on a {day}.",
            "I go there {number} times a year.",
        ),
        singular=("soup", "service", "wine", "dessert", "menu", "bread", "fish", "waiter"),
        plural=("portions", "tables", "salads", "drinks"),
    ),
    "book": Subject(
        settings=(
            "I read it in {number} days.",
            "{person} gave it to me in {month}.",
            "I began to read it on {day}.",
            "I read it with {person} in {month}.",
            "It took me {number} evenings to read.",
        ),
        singular=("style", "hero", "first chapter", "topic", "language", "cover", "pace", "tone"),
        plural=("pictures", "characters", "dialogues", "details"),
    ),
    "phone": Subject(
        settings=(
            "I bought it in {month}.",
            "I have used it for {number} weeks.",
            "{person} gave it to me on {day}.",
            "I got it {number} months ago.",
            "It came by mail on {day}.",
        ),
        singular=("screen", "sound", "battery", "case", "keyboard", "design", "price", "signal"),
        plural=("photos", "buttons", "speakers", "apps"),
    ),
}

FILLERS: dict[str, tuple[str, ...]] = {
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "month": ("March", "April", "May", "June", "July", "August", "October", "winter", "spring"),
    "person": ("my wife", "my brother", "my sister", "my friend", "my mother", "my son"),
    "number": ("two", "three", "four", "five", "six", "seven"),
}

# What a word says of a thing, from -1 (awful) to 1 (superb).
ADJECTIVES: dict[str, float] = {
    "superb": 1.0, "great": 1.0, "excellent": 1.0, "lovely": 0.9, "very good": 0.9, "good": 0.7,
    "really nice": 0.8, "nice": 0.6, "not bad": 0.4, "fine": 0.5, "quite okay": 0.3, "okay": 0.2,
    "a bit dull": -0.3, "dull": -0.5, "not good": -0.5, "not nice": -0.5, "poor": -0.7,
    "bad": -0.7, "really poor": -0.8, "very bad": -0.9, "awful": -1.0, "terrible": -1.0,
}  # fmt: skip
VERBS: dict[str, float] = {
    "loved": 1.0, "enjoyed": 0.8, "liked": 0.7, "could live with": 0.2,
    "did not like": -0.6, "was not happy with": -0.7, "hated": -1.0,
}  # fmt: skip

# Opinions of one aspect; the grammar knows these and the verdicts, and nothing else.
OPINIONS: dict[str, tuple[str, ...]] = {
    "singular": ("the {singular} was {adjective}", "I found the {singular} {adjective}"),
    "plural": ("the {plural} were {adjective}", "I found the {plural} {adjective}"),
    "felt": ("I {verb} the {aspect}",),
}
VERDICTS: dict[str, float] = {
    "I can recommend it": 1.0,
    "I am very happy with it": 1.0,
    "it was worth the money": 0.9,
    "I would do it again": 0.9,
    "it was okay for me": 0.2,
    "I would not do it again": -0.7,
    "I cannot recommend it": -0.8,
    "it was a waste of money": -1.0,
}
AND, BUT = " and ", ", but "
