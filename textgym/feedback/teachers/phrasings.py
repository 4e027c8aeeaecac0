"""What simulated teachers say: phrasings by grade and by finding, in two sets that share none.

The critic learns from the "seen" ones and is tested on the "unseen" ones, which were written to
be said by somebody else: other words, other sentences.
"""

from __future__ import annotations

NUM_GRADES = 5
"""Grades of an overall judgement, 0 the worst: fifths of the score."""

SEEN_GRADES: tuple[tuple[str, ...], ...] = (
    (
        "This is terrible.",
        "A very bad answer.",
        "Awful, this is useless.",
        "Really poor, I learned nothing from it.",
        "This is the worst kind of answer.",
        "Horrible work, it fails completely.",
        "I hate this one, it is no help at all.",
        "Completely unacceptable.",
    ),
    (
        "This is not good.",
        "A weak answer.",
        "Rather poor, with serious problems.",
        "I am disappointed by this.",
        "Below what I would expect.",
        "It is bad, though not hopeless.",
        "Not helpful enough.",
        "A poor attempt with many mistakes.",
    ),
    (
        "This is okay.",
        "An average answer.",
        "So-so, partly right and partly not.",
        "It is acceptable, but could be better.",
        "Mediocre: some good points, some problems.",
        "Neither good nor bad.",
        "A mixed result.",
        "Fair, but it needs more work.",
    ),
    (
        "This is good.",
        "A solid answer with small problems.",
        "Quite helpful, I like it.",
        "Good work, almost everything is right.",
        "Clear and mostly correct.",
        "A nice answer overall.",
        "I am satisfied with this.",
        "Better than most, well done.",
    ),
    (
        "This is excellent.",
        "A perfect answer.",
        "Great work, I would not change anything.",
        "Very good, exactly what I wanted.",
        "Outstanding, everything is right.",
        "I love this one, wonderful.",
        "The best answer I could hope for.",
        "Really great, clear and complete.",
    ),
)

UNSEEN_GRADES: tuple[tuple[str, ...], ...] = (
    (
        "Terrible stuff, truly useless to me.",
        "I could not find one thing to like here; it is very bad.",
        "What a horrible reply!",
        "Nothing works, an awful failure.",
        "Please never write anything this poor again.",
    ),
    (
        "Not really what I asked for, quite weak.",
        "There are serious mistakes in here.",
        "I had expected better, so this is disappointing.",
        "Hmm, it does not help much.",
        "Poor, although I have seen worse.",
    ),
    (
        "It is fine, I guess: half of it is right.",
        "Middle of the road, acceptable.",
        "Okay as a start, but it needs improvement.",
        "Some of it is good and some of it is bad.",
        "Average at most.",
    ),
    (
        "Good job, only details are off.",
        "I find this helpful and clear.",
        "Pretty solid, I am happy enough.",
        "A good one, nearly everything fits.",
        "Nicely done on the whole.",
    ),
    (
        "Wow, this one is perfect!",
        "Excellent in every way, a great piece of work.",
        "Nothing to improve, simply wonderful.",
        "That is the best I have read today, very good.",
        "Outstanding; exactly right and complete.",
    ),
)

SEEN_FINDINGS: dict[str, tuple[str, ...]] = {
    "covered": (
        "It tells {subject} correctly.",
        "{subject} is right.",
        "It gets {subject} right.",
        "Good that it mentions {subject}.",
    ),
    "missing": (
        "It does not mention {subject}.",
        "{subject} is missing.",
        "It leaves out {subject}.",
        "Nothing is said of {subject}.",
    ),
    "wrong": (
        "{subject} is wrong.",
        "It gets {subject} wrong.",
        "It makes a mistake about {subject}.",
        "What it says of {subject} is false.",
    ),
    "irrelevant": (
        "It tells things that do not matter.",
        "There is irrelevant detail in it.",
        "Some of it is beside the point.",
    ),
    "repeated": (
        "It repeats itself.",
        "It says the same thing twice.",
        "There is needless repetition.",
    ),
    "too_long": ("It is too long.", "It uses too many words.", "It should be shorter."),
    "broken": (
        "The sentences are broken.",
        "It is hard to understand.",
        "The language is full of errors.",
    ),
    "unfinished": ("It stops in the middle.", "It is not finished.", "The end is missing."),
}

UNSEEN_FINDINGS: dict[str, tuple[str, ...]] = {
    "covered": (
        "The part about {subject} is correct.",
        "I was glad to read {subject}.",
        "{subject}: well told.",
    ),
    "missing": (
        "Where is {subject}?",
        "You forgot {subject}.",
        "I miss any word on {subject}.",
    ),
    "wrong": (
        "The part about {subject} is not true.",
        "{subject} did not happen like that, a mistake.",
        "Wrong again about {subject}.",
    ),
    "irrelevant": ("Nobody asked about half of these details.", "It wanders off the point."),
    "repeated": ("You said that already.", "The same words come again and again."),
    "too_long": ("Too wordy for a short answer.", "Please cut it down, it is long."),
    "broken": ("I do not understand these sentences.", "This is not proper English."),
    "unfinished": ("It breaks off before the end.", "The last sentence is not complete."),
}
