"""The words of passages: people, what may be told of them, and how it is told and asked."""

from __future__ import annotations

from dataclasses import dataclass

PEOPLE: tuple[str, ...] = (
    "Anna", "Ben", "Carla", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Karin",
    "Leo", "Maria", "Nils", "Olga", "Paul", "Rosa", "Simon", "Tina", "Viktor",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One thing that may be told of a person.

    Attributes:
        values: What it can be, one word or two.
        statements: Sentences with `{who}` and `{value}`; the first is the plainest.
        questions: Questions with `{who}`, whose answer is a value.
    """

    values: tuple[str, ...]
    statements: tuple[str, ...]
    questions: tuple[str, ...]


ATTRIBUTES: dict[str, Attribute] = {
    "city": Attribute(
        values=(
            "Rome",
            "Oslo",
            "Paris",
            "Vienna",
            "Madrid",
            "Dublin",
            "Prague",
            "Athens",
            "London",
            "New York",
            "Cape Town",
            "Hong Kong",
            "Tokyo",
            "Berlin",
            "Lisbon",
            "Cairo",
        ),
        statements=(
            "{who} lives in {value}.",
            "The home of {who} is in {value}.",
            "{who} has a house in {value}.",
            "You can find {who} in {value}.",
        ),
        questions=(
            "Where does {who} live?",
            "In which city does {who} live?",
            "Which city is the home of {who}?",
        ),
    ),
    "job": Attribute(
        values=(
            "baker",
            "doctor",
            "farmer",
            "lawyer",
            "painter",
            "nurse",
            "judge",
            "pilot",
            "writer",
            "bus driver",
            "truck driver",
            "dance teacher",
            "music teacher",
            "tour guide",
            "fire fighter",
            "sailor",
        ),
        statements=(
            "{who} works as a {value}.",
            "{who} is a {value}.",
            "{who} earns money as a {value}.",
            "The job of {who} is that of a {value}.",
        ),
        questions=(
            "What is the job of {who}?",
            "What does {who} work as?",
            "How does {who} earn money?",
        ),
    ),
    "pet": Attribute(
        values=(
            "rabbit",
            "parrot",
            "turtle",
            "horse",
            "hamster",
            "goat",
            "snake",
            "lizard",
            "canary",
            "black cat",
            "white cat",
            "grey cat",
            "black dog",
            "white dog",
            "brown dog",
            "pony",
        ),
        statements=(
            "{who} has a {value}.",
            "{who} keeps a {value}.",
            "A {value} belongs to {who}.",
            "{who} takes care of a {value}.",
        ),
        questions=(
            "Which animal does {who} have?",
            "What pet does {who} keep?",
            "Which animal belongs to {who}?",
        ),
    ),
    "food": Attribute(
        values=(
            "pizza",
            "rice",
            "pasta",
            "cheese",
            "bread",
            "salad",
            "honey",
            "fish soup",
            "tomato soup",
            "onion soup",
            "apple pie",
            "cherry pie",
            "plum cake",
            "carrot cake",
            "pancakes",
            "noodles",
        ),
        statements=(
            "{who} likes to eat {value}.",
            "The favorite food of {who} is {value}.",
            "{who} eats {value} every day.",
            "{who} loves {value}.",
        ),
        questions=(
            "What does {who} like to eat?",
            "What is the favorite food of {who}?",
            "Which food does {who} love?",
        ),
    ),
    "sport": Attribute(
        values=(
            "tennis",
            "golf",
            "rugby",
            "chess",
            "hockey",
            "cricket",
            "soccer",
            "volleyball",
            "table tennis",
            "water polo",
            "beach soccer",
            "field hockey",
            "ice hockey",
            "squash",
            "baseball",
            "handball",
        ),
        statements=(
            "{who} plays {value}.",
            "{who} is good at {value}.",
            "On Sundays {who} plays {value}.",
            "The sport of {who} is {value}.",
        ),
        questions=(
            "Which sport does {who} play?",
            "What does {who} play?",
            "What is the sport of {who}?",
        ),
    ),
    "year": Attribute(
        values=tuple(str(year) for year in range(1951, 1999, 3)),
        statements=(
            "{who} was born in {value}.",
            "The birth of {who} was in {value}.",
            "{who} came into the world in {value}.",
            "The year {value} saw the birth of {who}.",
        ),
        questions=(
            "When was {who} born?",
            "In which year was {who} born?",
            "What is the year of birth of {who}?",
        ),
    ),
}

# What people write where the passage does not say; the gold utility knows the same.
REFUSALS: tuple[str, ...] = ("not in the text", "the text does not say")
