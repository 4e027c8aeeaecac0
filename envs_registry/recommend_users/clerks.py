"""Who recommends: one who knows the taste, and one in haste who counts likes at best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.recommend_users.catalogue import (
    GENRE_OF,
    GENRES,
    REACTIONS,
    TITLES,
    symbol_of,
)
from textgym.envs_registry.recommend_users.taste import NUM_SLOTS, PATIENCE, Taste

# How often the clerk in haste shows just anything.
BLIND_RATE = 0.2


def has_left(reactions: Sequence[bool]) -> bool:
    """Return whether the last `PATIENCE` films were all skipped."""
    return len(reactions) >= PATIENCE and not any(reactions[-PATIENCE:])


def reaction_to(title: str, liked: bool) -> str:
    """Return what the user says of a film that was shown."""
    of_liked, of_skipped = REACTIONS[GENRE_OF[title]]
    return f" {of_liked if liked else of_skipped}"


def is_liking(reaction: str) -> bool:
    """Return whether a reaction says that the film was liked."""
    return any(reaction.strip() == liked for liked, _ in REACTIONS.values())


def told(titles: Sequence[str], reactions: Sequence[bool]) -> str:
    """Return a session as text; a user who leaves says nothing of the last film."""
    words = [reaction_to(t, liked) for t, liked in zip(titles, reactions, strict=True)]
    if has_left(reactions):
        words[-1] = ""
    return "".join(symbol_of(t) + word for t, word in zip(titles, words, strict=True))


def knowing_session(
    liking: Mapping[str, float], seen: Sequence[str], rng: Draws, num_slots: int = NUM_SLOTS
) -> str:
    """Return a session of one who knows the taste and shows what appeals most just then."""
    taste, titles, reactions = Taste(liking), list[str](), list[bool]()
    while len(titles) < num_slots and not has_left(reactions):
        left = [title for title in TITLES if title not in seen and title not in titles]
        titles.append(max(left, key=taste.appeal))
        reactions.append(rng.random() < taste.appeal(titles[-1]))
        taste.show(titles[-1])
    return told(titles, reactions)


def hasty_session(
    liking: Mapping[str, float], history: Sequence[tuple[str, bool]], rng: Draws
) -> str:
    """Return a session of one in haste: just anything, or the genre that went down best so far."""
    taste, titles, reactions = Taste(liking), list[str](), list[bool]()
    seen = [title for title, _ in history]
    while len(titles) < NUM_SLOTS and not has_left(reactions):
        left = [title for title in TITLES if title not in seen and title not in titles]
        if rng.random() >= BLIND_RATE:
            pairs = [*history, *zip(titles, reactions, strict=True)]
            genre = _favourite(pairs, rng)
            left = [title for title in left if GENRE_OF[title] == genre] or left
        titles.append(pick(left, rng))
        reactions.append(rng.random() < taste.appeal(titles[-1]))
        taste.show(titles[-1])
    return told(titles, reactions)


def _favourite(pairs: Sequence[tuple[str, bool]], rng: Draws) -> str:
    """Return the genre with the most likes less skips, but for the one that was on last."""
    counts = dict.fromkeys(GENRES, 0)
    for title, liked in pairs:
        counts[GENRE_OF[title]] += 1 if liked else -1
    del counts[GENRE_OF[pairs[-1][0]]]
    return pick([genre for genre, n in counts.items() if n == max(counts.values())], rng)
