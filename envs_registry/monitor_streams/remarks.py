"""Remarks of four words, "the battery isn't great", and what they say.

The last word says whether a remark is for or against, or neither; a negated verb turns it round.
"""

from __future__ import annotations

from collections.abc import Sequence

from textgym.envs_registry.draws import Draws, pick

POLARITIES = ("negative", "neutral", "positive")
WORDS_PER_REMARK = 4
NUM_REMARKS = 6
NUM_WORDS = WORDS_PER_REMARK * NUM_REMARKS
NEGATED_RATE = 0.25

STARTS = ("the", "this", "their", "its", "that", "our")
VERBS = ("is", "was", "looks", "feels", "seems", "remains")
NEGATED_VERBS = ("isn't", "wasn't")
NOUNS = {
    "hotel": ("room", "lobby", "breakfast", "pool", "view", "bed", "staff", "price"),
    "phone": ("screen", "battery", "camera", "case", "speaker", "keyboard", "price", "charger"),
    "film": ("plot", "cast", "ending", "music", "dialogue", "pace", "opening", "scenery"),
    "bakery": ("bread", "coffee", "cake", "counter", "service", "queue", "menu", "price"),
    "course": ("teacher", "book", "homework", "exam", "group", "schedule", "classroom", "fee"),
}
ADJECTIVES = {
    "negative": (
        "awful", "poor", "broken", "dreadful", "boring", "rude", "dirty", "weak", "ugly", "useless",
    ),
    "neutral": (
        "grey", "square", "new", "local", "usual", "small", "plain", "recent", "digital", "white",
    ),
    "positive": (
        "great", "lovely", "superb", "charming", "clever", "fresh", "helpful", "perfect", "warm",
        "brilliant",
    ),
}  # fmt: skip
_POLARITY_OF = {word: polarity for polarity, words in ADJECTIVES.items() for word in words}
_TURNED = {"negative": "positive", "neutral": "neutral", "positive": "negative"}


def write_remark(topic: str, polarity: str, rng: Draws) -> list[str]:
    """Return the four words of a remark on `topic` that says `polarity`."""
    is_negated = rng.random() < NEGATED_RATE
    adjective = _TURNED[polarity] if is_negated else polarity
    return [
        pick(STARTS, rng),
        pick(NOUNS[topic], rng),
        pick(NEGATED_VERBS if is_negated else VERBS, rng),
        pick(ADJECTIVES[adjective], rng),
    ]


def polarity_of(remark: Sequence[str]) -> str:
    """Return what a whole remark says, one of `POLARITIES`."""
    polarity = _POLARITY_OF[remark[-1]]
    return _TURNED[polarity] if remark[-2] in NEGATED_VERBS else polarity
