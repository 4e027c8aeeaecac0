"""Comparisons between a model's own samples, judged by a simulated teacher on a gold utility."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel

from textgym.agents.bundles.teacher import FallibleTeacher
from textgym.agents.supervised.preference_data import PreferencePair
from textgym.agents.supervised.response_sampling import sample_responses
from textgym.rewards.base import RewardFn, score_episodes
from textgym.tokenizer import Tokenizer
from textgym.types import Episode, Prompt

_FILE = "pairs.jsonl.gz"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How responses are drawn from a model.

    Attributes:
        max_prompt_tokens: Longer prompts lose their beginning.
        max_new_tokens: Longest response.
        temperature: Of the softmax; 0 is greedy.
        batch_size: Rows at a time.
        seed: Seed of the draws.
    """

    max_prompt_tokens: int
    max_new_tokens: int
    temperature: float = 1.0
    batch_size: int = 128
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """Judged pairs and what was left out.

    Attributes:
        pairs: Judged comparisons with ids and gold margins.
        n_ties: Pairs of exactly equal gold utility, left out.
        gold_std: Standard deviation of the gold utility over the responses.
    """

    pairs: tuple[PreferencePair, ...]
    n_ties: int
    gold_std: float


def sample_episodes(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    label: str = "sampling",
    progress: bool = False,
) -> list[Episode]:
    """One finished episode for each prompt, sampled from the model, not scored."""
    encoded = [tuple(tokenizer.encode(p.text)[-sampling.max_prompt_tokens :]) for p in prompts]
    responses = sample_responses(
        model,
        encoded,
        eos_ids=tokenizer.eos_ids,
        max_new_tokens=sampling.max_new_tokens,
        vocab_size=tokenizer.vocab_size,
        temperature=sampling.temperature,
        seed=sampling.seed,
        batch_size=sampling.batch_size,
        label=label,
        progress=progress,
    )
    return [
        Episode(
            prompt=prompt,
            prompt_ids=ids,
            response_ids=response,
            response=tokenizer.decode(response),
            finish_reason="eos" if response[-1] in tokenizer.eos_ids else "length",
        )
        for prompt, ids, response in zip(prompts, encoded, responses, strict=True)
    ]


def judged_comparisons(
    episodes: Sequence[Episode],
    gold: RewardFn,
    teacher: FallibleTeacher,
    *,
    gold_std: float | None = None,
    seed: int = 0,
) -> Comparisons:
    """Compare all responses to the same prompt with each other.

    Args:
        episodes: Finished episodes; those of one prompt are compared.
        gold: The utility that the teacher means.
        teacher: Draws the judgements.
        gold_std: The unit of the teacher's temperature; measured on the episodes where None.
        seed: Seed of the judgements.

    Raises:
        ValueError: No two responses of different gold utility.
    """
    utility = score_episodes(gold, episodes).scores.astype(np.float64)
    by_prompt: dict[int, list[int]] = {}
    for row, episode in enumerate(episodes):
        by_prompt.setdefault(episode.prompt.prompt_id, []).append(row)
    couples = [c for rows in by_prompt.values() for c in itertools.combinations(rows, 2)]
    decided = [(a, b) for a, b in couples if utility[a] != utility[b]]
    if not decided:
        raise ValueError(
            f"expected responses of different gold utility, got {len(couples)} pairs that all tie"
        )
    unit = float(utility.std()) if gold_std is None else gold_std
    gaps = np.array([utility[a] - utility[b] for a, b in decided])
    firsts = teacher.prefers_first(gaps, unit, np.random.default_rng(seed))
    pairs = [
        _pair(episodes[a], episodes[b], gap) if first else _pair(episodes[b], episodes[a], -gap)
        for (a, b), gap, first in zip(decided, gaps, firsts, strict=True)
    ]
    return Comparisons(pairs=tuple(pairs), n_ties=len(couples) - len(decided), gold_std=unit)


def save_comparisons(folder: Path, comparisons: Comparisons) -> None:
    """Write comparisons into an existing folder as gzip'd JSON lines."""
    head = {"n_ties": comparisons.n_ties, "gold_std": comparisons.gold_std}
    with gzip.open(folder / _FILE, "wt", encoding="utf-8") as file:
        for row in (head, *(asdict(pair) for pair in comparisons.pairs)):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def load_comparisons(folder: Path) -> Comparisons:
    """Read what `save_comparisons` wrote."""
    with gzip.open(folder / _FILE, "rt", encoding="utf-8") as file:
        head, *rows = (json.loads(line) for line in file)
    for row in rows:
        row["chosen_ids"] = tuple(row["chosen_ids"])
        row["rejected_ids"] = tuple(row["rejected_ids"])
    return Comparisons(pairs=tuple(PreferencePair(**row) for row in rows), **head)


def _pair(chosen: Episode, rejected: Episode, gold_margin: float) -> PreferencePair:
    return PreferencePair(
        prompt=chosen.prompt.text,
        chosen=chosen.response,
        rejected=rejected.response,
        chosen_ids=chosen.response_ids,
        rejected_ids=rejected.response_ids,
        gold_margin=float(gold_margin),
    )
