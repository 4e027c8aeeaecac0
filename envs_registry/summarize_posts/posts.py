"""The posts of RLHF-Summarize-v0: item i is a pure function of (data_seed, split, i)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.envs_registry.draws import Draws, pick
from textgym.envs_registry.procedural import ProceduralPrompts
from textgym.envs_registry.summarize_posts import phrasings
from textgym.envs_registry.summarize_posts.facts import draw_facts, identity_of
from textgym.envs_registry.summarize_posts.humans import reference_summary
from textgym.envs_registry.summarize_posts.wording import capitalised, phrase, words_of
from textgym.types import Prompt

PROMPT_TEMPLATE = "SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {post}\n\nTL;DR:"

STORY = (
    phrasings.SETTINGS,
    phrasings.PROBLEMS,
    phrasings.ATTEMPTS,
    phrasings.OUTCOMES,
    phrasings.QUESTIONS,
)


class SummarizePosts(ProceduralPrompts):
    """Procedural posts with their facts and one human summary each; see `ProceduralPrompts`."""

    def draw(self, rng: Draws) -> dict[str, Any]:
        """See `ProceduralPrompts`."""
        return draw_facts(rng)

    def identity(self, facts: Mapping[str, Any]) -> str:
        """See `ProceduralPrompts`."""
        return identity_of(facts)

    def write(self, prompt_id: int, facts: Mapping[str, Any], rng: Draws) -> Prompt:
        """See `ProceduralPrompts`."""
        text, distractors = _write_post(facts, rng)
        known = {**facts, "distractors": distractors}
        return Prompt(
            prompt_id=prompt_id,
            text=text,
            references=(reference_summary(known, rng),),
            facts=known,
        )


def _write_post(facts: Mapping[str, Any], rng: Draws) -> tuple[str, list[str]]:
    """The prompt's text, and the irrelevant clauses that it holds."""
    words = words_of(facts)
    sentences = [phrase(pick(frames, rng), words, rng) for frames in STORY]
    distractors = [phrase(pick(phrasings.DISTRACTORS, rng), {}, rng)]
    # Between setting and outcome, so that the last word of a post is its question.
    sentences.insert(int(rng.integers(1, 4)), distractors[0] + ".")
    text = PROMPT_TEMPLATE.format(
        subreddit=facts["subreddit"],
        title=capitalised(phrase(pick(phrasings.TITLES, rng), words, rng)),
        post=" ".join(capitalised(sentence) for sentence in sentences),
    )
    return text, distractors
