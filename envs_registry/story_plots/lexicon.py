"""The words of openings and stories, as plain tables.

Slots: `{who}` the hero's name or "she" or "he", `{thing}`, `{friend}`, `{place}`, `{weather}`. No
template holds a full stop: a sentence is one template and a full stop.
"""

from __future__ import annotations

HEROES: dict[str, str] = {
    "Mia": "she", "Ella": "she", "Rosa": "she", "Nora": "she", "Lily": "she", "Vera": "she",
    "Ada": "she", "Ines": "she", "Max": "he", "Otto": "he", "Ben": "he", "Emil": "he",
    "Hugo": "he", "Karl": "he", "Theo": "he", "Juri": "he",
}  # fmt: skip
ROLES = (
    "fox", "bear", "mouse", "rabbit", "baker", "sailor", "farmer", "painter", "miller", "king",
    "cat", "thief",
)  # fmt: skip
THINGS = (
    "lamp", "coin", "rope", "cake", "drum", "key", "book", "ring", "hat", "boat", "pie", "map",
    "bell", "coat", "knife", "flute", "seed", "mirror",
)  # fmt: skip
FRIENDS = (
    "wolf", "frog", "goat", "crow", "horse", "witch", "knight", "giant", "dwarf", "monk", "nurse",
    "clown", "turtle", "dragon",
)  # fmt: skip
PLACES = (
    "mill", "lake", "tower", "bridge", "cave", "castle", "market", "forest", "beach", "garden",
    "barn", "well", "harbor", "church",
)  # fmt: skip
WEATHERS = ("rain", "snow", "fog", "hail", "wind", "thunder")

OPENINGS = (
    "One day {name} the {role} left home",
    "{name} the {role} woke up early",
    "Long ago there was a {role} called {name}",
    "{name} was the youngest {role} in town",
    "It was a cold night for {name} the {role}",
    "Nobody knew {name} the {role}",
    "{name} the {role} had lost all hope",
    "In spring {name} the {role} set out",
    "{name} the {role} was bored",
    "All was quiet when {name} the {role} came",
)

# What happens, by what it is about. Two sentences of one kind with the same words repeat.
EVENTS: dict[str, tuple[str, ...]] = {
    "find": ("{who} found a {thing}", "{who} picked up a {thing}", "{who} bought a {thing}"),
    "find_at": ("{who} found a {thing} at the {place}",),
    "go": ("{who} went to the {place}", "{who} walked to the {place}", "{who} ran to the {place}"),
    "meet": ("{who} met a {friend}", "{who} saw a {friend}", "a {friend} came by"),
    "meet_at": ("{who} met a {friend} at the {place}",),
    "give": ("{who} gave a {thing} to a {friend}", "{who} showed a {thing} to a {friend}"),
    "weather": ("there was {weather} all day", "{who} waited for the {weather} to stop"),
    "song": ("{who} sang a song",),
    "tired": ("{who} was very tired",),
    "stars": ("{who} counted the stars",),
}
ENDINGS: dict[str, tuple[str, ...]] = {
    "happy": ("{who} went home with a smile", "in the end {who} was happy", "{who} laughed"),
    "sad": ("{who} went home in tears", "in the end {who} was sad", "{who} cried"),
    "calm": ("{who} fell asleep", "in the end {who} was at peace", "{who} rested at last"),
    "proud": ("{who} came home a hero", "in the end {who} was proud", "{who} told everyone"),
}
ASIDES = ("song", "tired", "stars")
