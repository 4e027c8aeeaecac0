"""A user's taste, and how what is shown changes it.

A film appeals as its genre does, as far as it is well made, less what the user is tired of. To be
shown a genre makes the user like it more, and the others a little less, whatever was said of it;
it also tires for a while. So a taste is a pure function of where it began and what was shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from textgym.envs_registry.recommend_users.catalogue import GENRE_OF, QUALITY_OF

# Share of the way to 1 that the liking of a shown genre goes, and that of the others to 0.
EXPOSURE, NEGLECT = 0.12, 0.03
# How tired one film of a genre makes of it, and what share of that is left one film later.
TIRING, TIREDNESS_LEFT = 0.35, 0.5
# Films of a session, unless `max_new_tokens` says otherwise.
NUM_SLOTS = 8
# So many films in a row that are skipped, and the user leaves.
PATIENCE = 3


class Taste:
    """What a user likes now, genre by genre; changes with `show`.

    Attributes:
        liking: Genre to a number in [0, 1].
        tiredness: Genre to a number in [0, 1).
    """

    def __init__(self, liking: Mapping[str, float]) -> None:
        """Begin fresh."""
        self.liking = dict(liking)
        self.tiredness = dict.fromkeys(liking, 0.0)

    def appeal(self, title: str) -> float:
        """Return the probability that the user likes this film now."""
        genre = GENRE_OF[title]
        return self.liking[genre] * (1.0 - self.tiredness[genre]) * QUALITY_OF[title]

    def show(self, title: str) -> None:
        """Change as showing this film changes the user."""
        shown = GENRE_OF[title]
        for genre, liking in self.liking.items():
            self.tiredness[genre] *= TIREDNESS_LEFT
            if genre == shown:
                self.liking[genre] = liking + EXPOSURE * (1.0 - liking)
                self.tiredness[genre] += TIRING * (1.0 - self.tiredness[genre])
            else:
                self.liking[genre] = liking * (1.0 - NEGLECT)


def appeals(
    liking: Mapping[str, float], titles: Sequence[str], seen: Sequence[str] = ()
) -> Iterator[float]:
    """Give the appeal of each film when its turn comes, one shown after the other.

    Args:
        liking: Where the taste begins.
        titles: Films in the order in which they are shown.
        seen: Films of the user's history; what was seen before appeals to nobody.
    """
    taste = Taste(liking)
    for index, title in enumerate(titles):
        yield 0.0 if title in seen or title in titles[:index] else taste.appeal(title)
        taste.show(title)


def satisfaction(
    liking: Mapping[str, float],
    titles: Sequence[str],
    seen: Sequence[str] = (),
    num_slots: int = NUM_SLOTS,
) -> float:
    """Return the mean appeal over the slots of a session, in [0, 1].

    A slot that was never filled has 0; films beyond the last slot do not count.
    """
    return sum(appeals(liking, titles[:num_slots], seen)) / num_slots
