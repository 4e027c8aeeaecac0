"""The users of RLHF-Recommend-v0: item i is a pure function of (data_seed, split, i)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.envs_registry.recommend_users.catalogue import GENRES, TITLES, symbol_of
from textgym.envs_registry.recommend_users.clerks import (
    hasty_session,
    knowing_session,
    reaction_to,
)
from textgym.envs_registry.recommend_users.taste import NUM_SLOTS, Taste
from textgym.types import Prompt

HISTORY_LENGTH = 8
# Probability to like a perfect film of a genre: of the two favourites, of others (lowest, width).
FAVOURITE, ORDINARY = (0.75, 0.2), (0.05, 0.25)


class RecommendUsers(ProceduralPrompts):
    """Procedural users with what they saw; the reference is by one who knows their taste.

    `facts` hold `liking` (genre to a number in [0, 1]: the latent taste before the session),
    `history` (pairs of a title and whether it was liked) and `hasty`: the session of a clerk in
    haste, which the bundled reference model imitates.
    """

    def __init__(
        self, data_seed: int, split: str, size: int | None = None, *, num_slots: int = NUM_SLOTS
    ) -> None:
        """See `ProceduralPrompts`; the references show `num_slots` films unless the user leaves."""
        super().__init__(data_seed, split, size)
        self._num_slots = num_slots

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        favourites = {pick(tuple(GENRES), rng), pick(tuple(GENRES), rng)}
        liking = {}
        for genre in GENRES:
            low, width = FAVOURITE if genre in favourites else ORDINARY
            liking[genre] = round(low + width * rng.random(), 3)
        taste, left, history = Taste(liking), list(TITLES), []
        for _ in range(HISTORY_LENGTH):
            title = left.pop(int(rng.integers(len(left))))
            history.append([title, rng.random() < taste.appeal(title)])
        return {"liking": liking, "history": history}

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`."""
        return json.dumps([facts["liking"], facts["history"]])

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        history = [(title, liked) for title, liked in facts["history"]]
        seen = [title for title, _ in history]
        text = "".join(symbol_of(title) + reaction_to(title, liked) for title, liked in history)
        return Prompt(
            prompt_id=prompt_id,
            text=f"Seen: {text}\nNext:",
            references=(knowing_session(facts["liking"], seen, rng, self._num_slots),),
            facts={**facts, "hasty": hasty_session(facts["liking"], history, rng)},
        )


class HastyClerks(RecommendUsers):
    """The same users; the reference is by a clerk in haste."""

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        prompt = super().write(prompt_id, facts, rng)
        return replace(prompt, references=(prompt.facts["hasty"],))
