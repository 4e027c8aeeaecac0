"""The words of the posts: people, what they did, what was tried, how it went, what is asked.

Phrases hold `{he}`, `{him}` and `{his}` where they speak of the person of the post. No phrase of a
fact contains "and", "but", "so" or a comma: these join clauses, and the gold parser splits there.
"""

from __future__ import annotations

from dataclasses import dataclass

PRONOUNS: dict[str, dict[str, str]] = {
    "she": {"he": "she", "him": "her", "his": "her"},
    "he": {"he": "he", "him": "him", "his": "his"},
}

PEOPLE: dict[str, str] = {
    "my sister": "she", "my brother": "he", "my mom": "she", "my dad": "he",
    "my aunt": "she", "my uncle": "he", "my cousin": "she", "my grandma": "she",
    "my grandpa": "he", "my wife": "she", "my husband": "he", "my girlfriend": "she",
    "my boyfriend": "he", "my friend": "she", "my roommate": "he",
    "my neighbor": "she", "my landlord": "he", "my boss": "she", "my manager": "he",
    "my coworker": "she", "my partner": "he", "my teacher": "he", "my coach": "she",
    "my classmate": "he", "my singer": "she",
    "my drummer": "he",
}  # fmt: skip

# Past form -> participle, for "my sister broke my bike" and "my bike got broken by my sister".
ACTIONS: dict[str, str] = {
    "broke": "broken", "lost": "lost", "sold": "sold", "hid": "hidden", "took": "taken",
    "ruined": "ruined", "burned": "burned", "threw away": "thrown away",
    "gave away": "given away", "painted": "painted", "dropped": "dropped", "ate": "eaten",
    "scratched": "scratched", "stole": "stolen", "borrowed": "borrowed", "copied": "copied",
    "changed": "changed", "forgot": "forgotten", "moved": "moved", "hit": "hit",
    "blocked": "blocked", "spent": "spent", "cut": "cut", "picked": "picked",
    "scared": "scared", "washed": "washed", "chased": "chased",
}  # fmt: skip

# Base form -> past form of what the writer tried; these fit every topic.
COMMON_ATTEMPTS: dict[str, str] = {
    "ask {him} to pay": "asked {him} to pay",
    "talk to {him}": "talked to {him}",
    "write {him} a letter": "wrote {him} a letter",
    "send {him} a text": "sent {him} a text",
    "leave {him} a note": "left {him} a note",
    "tell {him} the truth": "told {him} the truth",
    "cook {him} dinner": "cooked {him} dinner",
    "meet {him} for coffee": "met {him} for coffee",
    "make {him} a deal": "made {him} a deal",
    "ask for an apology": "asked for an apology",
    "ask a friend for help": "asked a friend for help",
    "explain my side": "explained my side",
    "offer to help": "offered to help",
    "offer to pay half": "offered to pay half",
    "set a clear rule": "set a clear rule",
    "make a joke": "made a joke",
    "stay calm": "stayed calm",
    "wait a week": "waited a week",
    "lock my door": "locked my door",
    "take a long walk": "took a long walk",
}

OUTCOMES: tuple[str, ...] = (
    "said no", "laughed at me", "got angry", "walked away", "started to cry", "blamed me",
    "called me rude", "ignored me", "shut the door", "changed the subject",
    "rolled {his} eyes", "yelled at me", "called it a joke", "told everyone",
    "asked for more time", "hung up on me", "lied about it", "agreed with me", "did nothing",
    "went to bed", "left the house", "sent me a bill", "made fun of me", "refused to talk",
    "wanted proof", "shook {his} head", "promised to change", "forgot about it", "looked hurt",
    "stayed silent", "begged for help", "said it was my fault",
)  # fmt: skip

COMMON_QUESTIONS: tuple[str, ...] = (
    "move on", "forgive {him}", "ask again", "say sorry", "let it go", "call a lawyer",
    "stop talking to {him}", "get even", "trust {him} again", "warn my friends", "wait longer",
    "stay away from {him}", "give {him} time", "yell at {him}", "get help", "tell everyone",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Topic:
    """What can happen in one subreddit; any person fits any action on any thing."""

    people: tuple[str, ...]
    actions: tuple[str, ...]
    things: tuple[str, ...]
    attempts: dict[str, str]
    questions: tuple[str, ...]


def _topic(
    people: str, actions: str, things: str, attempts: dict[str, str], questions: str
) -> Topic:
    return Topic(
        people=tuple(f"my {noun}" for noun in people.split()),
        actions=tuple(actions.split(", ")),
        things=tuple(things.split(", ")),
        attempts={**COMMON_ATTEMPTS, **attempts},
        questions=COMMON_QUESTIONS + tuple(questions.split(", ")),
    )


TOPICS: dict[str, Topic] = {
    "relationships": _topic(
        "wife husband girlfriend boyfriend partner",
        "broke, lost, hid, sold, gave away, threw away, took",
        "ring, phone, guitar, watch, camera, jacket, letters, photos, bike",
        {"call {his} mom": "called {his} mom", "write {him} a song": "wrote {him} a song"},
        "leave {him}, take a break, move out",
    ),
    "family": _topic(
        "sister brother mom dad aunt uncle cousin grandma grandpa",
        "broke, lost, sold, hid, painted, ruined, gave away",
        "bike, car, lamp, chair, desk, dress, piano, game, tent",
        {"bake {him} a cake": "baked {him} a cake", "make a family rule": "made a family rule"},
        "move out, skip dinner, call the family",
    ),
    "work": _topic(
        "boss manager coworker partner",
        "lost, copied, changed, moved, hid, ruined, took",
        "report, files, notes, plan, list, budget, speech, desk, phone",
        {"call the office": "called the office", "work all night": "worked all night"},
        "quit my job, tell the office, ask for more money",
    ),
    "pets": _topic(
        "neighbor roommate sister friend uncle",
        "scared, lost, washed, chased, hit, gave away, took",
        "dog, cat, bird, rabbit, puppy, kitten, horse, turtle, goat",
        {"call the vet": "called the vet", "build a fence": "built a fence"},
        "call the vet, buy a camera, build a fence",
    ),
    "neighbors": _topic(
        "neighbor landlord roommate friend",
        "broke, hit, painted, blocked, ruined, scratched, moved",
        "fence, gate, mailbox, door, window, bench, wall, garage, car",
        {"call the police": "called the police", "bake {him} a cake": "baked {him} a cake"},
        "call the police, build a wall, sell the house",
    ),
    "school": _topic(
        "classmate teacher coach friend roommate",
        "lost, copied, took, hid, ruined, changed, threw away",
        "notes, essay, homework, project, poster, map, test, poem, book",
        {"start over": "started over", "call the school": "called the school"},
        "drop the class, change schools, tell the school",
    ),
    "travel": _topic(
        "friend cousin boyfriend girlfriend sister brother husband wife",
        "lost, forgot, sold, gave away, threw away, took",
        "passport, tickets, bag, map, camera, tent, wallet, keys, jacket",
        {"call the hotel": "called the hotel", "change my plans": "changed my plans"},
        "go alone, go home, skip the trip",
    ),
    "money": _topic(
        "brother friend cousin uncle roommate partner dad",
        "spent, lost, took, borrowed, hid, stole",
        "savings, paycheck, rent money, cash, gift card, lunch money, tax money, bonus, refund",
        {"call the bank": "called the bank", "write a budget": "wrote a budget"},
        "call the bank, change banks, take {him} to court",
    ),
    "cooking": _topic(
        "roommate sister husband wife mom brother aunt",
        "burned, ate, ruined, threw away, dropped, gave away",
        "cake, soup, bread, pie, dinner, cookies, pizza, pasta, lunch",
        {"order a pizza": "ordered a pizza", "start over": "started over"},
        "cook alone, lock the kitchen, hide my food",
    ),
    "gardening": _topic(
        "neighbor grandpa grandma aunt landlord dad",
        "cut, ruined, picked, moved, burned, stole",
        "roses, tomatoes, tulips, herbs, beans, peppers, flowers, carrots, berries",
        {"build a wall": "built a wall", "build a fence": "built a fence"},
        "build a wall, buy a camera, build a fence",
    ),
    "music": _topic(
        "singer drummer brother roommate teacher friend",
        "broke, sold, dropped, lost, scratched, borrowed, hid, painted",
        "guitar, violin, drum, flute, piano, trumpet, speaker, keyboard, banjo",
        {"call the store": "called the store", "play alone": "played alone"},
        "quit the band, play alone, change bands",
    ),
    "weddings": _topic(
        "aunt mom friend cousin sister brother",
        "ruined, changed, forgot, copied, moved",
        "party, plan, cake, speech, guest list, dance, dinner, song, photos",
        {"call the hotel": "called the hotel", "change the date": "changed the date"},
        "skip the party, change the date, start over",
    ),
}  # fmt: skip

# Every base -> past form of an attempt, over all topics.
ATTEMPTS: dict[str, str] = {
    base: past for topic in TOPICS.values() for base, past in topic.attempts.items()
}

# Words that fill details which no fact depends on.
FILLERS: dict[str, tuple[str, ...]] = {
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "month": ("March", "April", "May", "June", "July", "August"),
    "time": (
        "last week", "last night", "two days ago", "this morning", "last month", "a week ago",
        "three days ago", "a month ago",
    ),
    "number": ("two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "age": ("19", "24", "28", "33", "37", "42", "56", "60"),
    "mood": ("kind", "nice", "strange", "calm", "quiet", "loud", "proud", "lazy", "warm", "cold"),
    "weather": ("nice", "strange", "calm", "quiet", "warm", "cold"),
    "color": ("red", "blue", "green", "black", "white", "brown"),
    "food": ("soup", "bread", "pizza", "pasta", "rice", "cake", "pie"),
    "drink": ("tea", "coffee", "milk", "juice", "water"),
    "animal": ("dog", "cat", "bird", "horse", "goat", "rabbit"),
    "place": ("lake", "park", "river", "bank", "school", "store", "office"),
    "clothes": ("hat", "coat", "shirt", "jacket", "dress"),
}  # fmt: skip
