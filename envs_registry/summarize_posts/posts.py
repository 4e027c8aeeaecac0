"""The posts of RLHF-Summarize-v0: item i is a pure function of (data_seed, split, i)."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from textgym.envs_registry.summarize_posts import phrasings
from textgym.envs_registry.summarize_posts.draws import Draws, FastDraws
from textgym.envs_registry.summarize_posts.facts import SPLITS, draw_facts, split_of
from textgym.envs_registry.summarize_posts.humans import reference_summary
from textgym.envs_registry.summarize_posts.wording import capitalised, phrase, pick, words_of
from textgym.types import Prompt

DEFAULT_SIZES = {"train": 1_000_000, "validation": 10_000, "test": 10_000}
PROMPT_TEMPLATE = "SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {post}\n\nTL;DR:"

STORY = (
    phrasings.SETTINGS,
    phrasings.PROBLEMS,
    phrasings.ATTEMPTS,
    phrasings.OUTCOMES,
    phrasings.QUESTIONS,
)


class SummarizePosts:
    """A `PromptSource` of procedural posts with their facts and one human summary each.

    Splits share no post: a stable hash of the facts decides the split that owns them, whatever
    the seed, and each item is redrawn until its facts belong to its split.

    Args:
        data_seed: Fixes every post, at least 0.
        split: One of `SPLITS`.
        size: Number of posts, at least 1; by default `DEFAULT_SIZES[split]`.

    Raises:
        ValueError: An argument is none of these.
    """

    def __init__(self, data_seed: int, split: str, size: int | None = None) -> None:
        """Check the arguments; no post is written before it is asked for."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
        self._data_seed = _whole("data_seed", data_seed, minimum=0)
        self._split = split
        self._size = DEFAULT_SIZES[split] if size is None else _whole("size", size, minimum=1)

    def __len__(self) -> int:
        """Number of posts."""
        return self._size

    def __getitem__(self, prompt_id: int) -> Prompt:
        """The post with this index, 0 <= prompt_id < len(self).

        Raises:
            IndexError: There is no such post.
        """
        if not isinstance(prompt_id, Integral) or not 0 <= prompt_id < self._size:
            raise IndexError(
                f"prompt_id must be a whole number from 0 to {self._size - 1}, got {prompt_id!r}"
            )
        entropy = np.random.SeedSequence((self._data_seed, SPLITS.index(self._split), prompt_id))
        rng = FastDraws(entropy)
        facts = draw_facts(rng)
        while split_of(facts) != self._split:
            facts = draw_facts(rng)
        text, distractors = _write_post(facts, rng)
        known = {**facts, "distractors": distractors}
        return Prompt(
            prompt_id=int(prompt_id),
            text=text,
            references=(reference_summary(known, rng),),
            facts=known,
        )


def _write_post(facts: dict[str, str], rng: Draws) -> tuple[str, list[str]]:
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


def _whole(name: str, value: int, *, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return int(value)
