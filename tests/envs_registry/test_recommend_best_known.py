"""RLHF-Recommend-v0: its best known policy looks one film ahead; against all sessions of four."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from textgym.envs_registry.recommend_users.catalogue import GENRE_OF, TITLES
from textgym.envs_registry.recommend_users.clerks import has_left
from textgym.envs_registry.recommend_users.taste import Taste, appeals
from textgym.envs_registry.recommend_users.users import RecommendUsers

SLOTS = 4


def expected_sum(liking: dict[str, float], titles: Sequence[str]) -> float:
    """The expected sum of appeals until the user leaves, over all patterns of reactions."""
    chances = list(appeals(liking, titles))
    total = 0.0
    for pattern in itertools.product((True, False), repeat=len(titles)):
        likely = np.prod([c if liked else 1 - c for c, liked in zip(chances, pattern, strict=True)])
        stays = [not has_left(pattern[:slot]) for slot in range(len(titles))]
        total += float(likely) * sum(itertools.compress(chances, stays))
    return total


def one_film_ahead(liking: dict[str, float], seen: Sequence[str]) -> list[str]:
    taste, titles = Taste(liking), list[str]()
    for _ in range(SLOTS):
        left = [title for title in TITLES if title not in seen and title not in titles]
        titles.append(max(left, key=taste.appeal))
        taste.show(titles[-1])
    return titles


@pytest.mark.parametrize("index", [0, 1])
def test_to_look_further_ahead_finds_next_to_nothing_better(index: int) -> None:
    """All orders of genres, the best film that is left of each in turn."""
    user = RecommendUsers(0, "validation")[index]
    liking, seen = user.facts["liking"], [title for title, _ in user.facts["history"]]
    by_genre = {g: [t for t in TITLES if GENRE_OF[t] == g and t not in seen] for g in liking}
    values = []
    for genres in itertools.product(liking, repeat=SLOTS):
        films = {genre: iter(titles) for genre, titles in by_genre.items()}
        titles = [next(films[genre], "") for genre in genres]
        if all(titles):
            values.append(expected_sum(liking, titles))
    assert len(values) > 1000
    assert expected_sum(liking, one_film_ahead(liking, seen)) > 0.99 * max(values)
