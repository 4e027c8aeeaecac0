"""The facts of a post, how they are drawn, and what tells two posts apart.

Facts are a plain dict of strings, ready for JSON: `subreddit`, `who` ("my sister"), `pronoun`
("she" or "he"), `action` ("broke"), `thing` ("bike"), `tried` (base form, "ask {him} to pay"),
`outcome` ("said no") and `question` ("move out"). Values may hold `{him}` and `{his}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.summarize_posts.lexicon import OUTCOMES, PEOPLE, TOPICS

# What a summary can tell or get wrong, in the order of the story.
TOLD_FACTS = ("who", "action", "thing", "tried", "outcome", "question")


def draw_facts(rng: Draws) -> dict[str, str]:
    """Draw the facts of one post, every choice uniform within its topic."""
    subreddit = pick(tuple(TOPICS), rng)
    topic = TOPICS[subreddit]
    who = pick(topic.people, rng)
    return {
        "subreddit": subreddit,
        "who": who,
        "pronoun": PEOPLE[who],
        "action": pick(topic.actions, rng),
        "thing": pick(topic.things, rng),
        "tried": pick(tuple(topic.attempts), rng),
        "outcome": pick(OUTCOMES, rng),
        "question": pick(topic.questions, rng),
    }


def identity_of(facts: Mapping[str, Any]) -> str:
    """What decides the split that owns a post (see `procedural.owner_of`)."""
    return "|".join(facts[name] for name in ("subreddit", *TOLD_FACTS))


def alternatives(subreddit: str) -> dict[str, tuple[str, ...]]:
    """All values that each told fact can take in a subreddit."""
    topic = TOPICS[subreddit]
    return {
        "who": topic.people,
        "action": topic.actions,
        "thing": topic.things,
        "tried": tuple(topic.attempts),
        "outcome": OUTCOMES,
        "question": topic.questions,
    }


def count_fact_combinations() -> int:
    """How many different sets of facts the tables can make, before any wording."""
    return sum(prod(len(values) for values in alternatives(name).values()) for name in TOPICS)
