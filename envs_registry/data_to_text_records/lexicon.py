"""What records hold: kinds, their fields with values, and how each field is put into words.

A predicate follows a subject: "Blue Fox" + "serves {food} food". No value and no predicate holds a
comma or the word "and": these join predicates, and the gold parser splits there.
"""

from __future__ import annotations

KINDS: dict[str, tuple[str, ...]] = {
    "cafe": ("food", "price", "area", "near", "rating", "closes", "owner"),
    "hotel": ("area", "near", "rating", "rooms", "price", "view", "owner"),
    "film": ("director", "decade", "genre", "minutes", "star", "language"),
    "train": ("start", "goal", "leaves", "platform", "minutes"),
    "flat": ("rooms", "floor", "rent", "view", "area", "near"),
}

_CITIES = (
    "Oslo", "Rome", "Paris", "Lyon", "Turin", "Ghent", "Porto", "Milan", "Bonn", "Graz", "Lille",
    "Bern",
)  # fmt: skip
_PEOPLE = (
    "Anna",
    "Omar",
    "Ruth",
    "Leo",
    "Nina",
    "Paul",
    "Sofia",
    "Ivan",
    "Clara",
    "Hugo",
    "Mira",
    "Tom",
)

FIELDS: dict[str, tuple[str, ...]] = {
    "food": (
        "Thai", "Greek", "Indian", "French", "Korean", "Turkish", "Italian", "Polish", "Cuban",
        "Persian",
    ),
    "price": ("low", "fair", "high", "moderate", "steep"),
    "area": ("north", "south", "east", "west", "center", "suburbs", "hills", "valley"),
    "near": (
        "bridge", "park", "station", "museum", "theater", "school", "library", "church", "market",
        "stadium",
    ),
    "rating": ("two", "three", "four", "five"),
    "closes": ("six", "seven", "eight", "nine", "ten", "eleven"),
    "owner": _PEOPLE,
    "rooms": ("two", "three", "four", "five", "six", "eight", "twelve", "twenty"),
    "view": ("lake", "garden", "harbor", "forest", "river", "castle", "square", "beach"),
    "director": (
        "Silva", "Moreau", "Larsen", "Okafor", "Tanaka", "Novak", "Costa", "Weber", "Rossi", "Lind",
    ),
    "decade": ("thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"),
    "genre": ("comedy", "drama", "western", "romance", "thriller", "mystery"),
    "minutes": ("fifty", "sixty", "seventy", "eighty", "ninety", "hundred"),
    "star": _PEOPLE,
    "language": ("Danish", "Spanish", "Japanese", "Arabic", "German", "Hindi", "Swedish"),
    "start": _CITIES,
    "goal": _CITIES,
    "leaves": ("noon", "midnight", "dawn", "dusk", "sunrise", "sunset"),
    "platform": ("one", "two", "three", "four", "five", "six", "seven", "eight"),
    "floor": ("first", "second", "third", "fourth", "fifth", "sixth"),
    "rent": ("three", "four", "five", "six", "seven", "eight", "nine"),
}  # fmt: skip

PREDICATES: dict[str, tuple[str, ...]] = {
    "kind": ("is a {kind}",),
    "food": ("serves {food} food", "offers {food} dishes", "cooks {food} meals"),
    "price": ("has {price} prices", "asks {price} prices"),
    "area": ("is in the {area}", "lies in the {area}"),
    "near": ("is near the {near}", "stands by the {near}", "is next to the {near}"),
    "rating": ("has {rating} stars", "earned {rating} stars"),
    "closes": ("closes at {closes}", "is open until {closes}"),
    "owner": ("is run by {owner}", "belongs to {owner}"),
    "rooms": ("has {rooms} rooms", "comes with {rooms} rooms"),
    "view": ("has a view of the {view}", "looks over the {view}"),
    "director": ("was made by {director}", "is by {director}"),
    "decade": ("came out in the {decade}", "is from the {decade}"),
    "genre": ("counts as a {genre}", "is known as a {genre}"),
    "minutes": ("takes {minutes} minutes", "lasts {minutes} minutes"),
    "star": ("stars {star}", "shows {star} in the lead"),
    "language": ("is in {language}", "was shot in {language}"),
    "start": ("starts in {start}", "comes from {start}"),
    "goal": ("goes to {goal}", "ends in {goal}"),
    "leaves": ("leaves at {leaves}", "departs at {leaves}"),
    "platform": ("uses platform {platform}", "stops at platform {platform}"),
    "floor": ("is on the {floor} floor",),
    "rent": ("costs {rent} hundred a month", "rents for {rent} hundred a month"),
}

NAME_FIRST = (
    "Blue", "Silver", "Green", "Old", "Wild", "Little", "Golden", "Red", "Quiet", "Royal", "White",
    "Lucky", "Stone", "Winter", "Summer", "Happy",
)  # fmt: skip
NAME_SECOND = (
    "Fox", "Rose", "Lion", "Moon", "Star", "Arrow", "Tiger", "Crown", "Swan", "Bell", "Oak",
    "Anchor", "Wolf", "Lantern", "Apple", "Falcon",
)  # fmt: skip
NAMES: tuple[str, ...] = tuple(
    f"{first} {second}" for first in NAME_FIRST for second in NAME_SECOND
)

MIN_FIELDS, MAX_FIELDS = 2, 4
