"""Responses sampled from a task's reference, with their gold, and what a teacher says of them.

Shape letters: P prompts, K samples of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textgym.agents.bundles.comparisons import Sampling, sample_episodes
from textgym.feedback.episode_judge import EpisodeJudge
from textgym.feedback.queries import QUERY_KINDS, Query, Teacher
from textgym.feedback.records import FeedbackRecord, Skipped
from textgym.feedback.responses import Response
from textgym.models.loading import load_causal_lm
from textgym.rewards.base import score_episodes
from textgym.task import TextTask
from textgym.types import Episode


def sampled_episodes(
    task: TextTask,
    prompt_ids: Sequence[int],
    num_samples: int,
    *,
    seed: int = 0,
    progress: bool = False,
) -> list[list[Episode]]:
    """Sample responses from the task's reference model.

    Args:
        task: With a reference model; its gold utility, where it has one, is noted in the episodes.
        prompt_ids: P prompts of the task.
        num_samples: K, at least 1.
        seed: Seed of the draws.
        progress: Show a bar.

    Returns:
        K episodes for each prompt, not scored.

    Raises:
        ValueError: A task without a reference model.
    """
    config = task.config
    if config.reference_model is None:
        raise ValueError("expected a task with a reference_model to sample from, got None")
    prompts = [task.prompts[i] for i in prompt_ids for _ in range(num_samples)]
    episodes = sample_episodes(
        load_causal_lm(config.reference_model, device=config.device),
        task.tokenizer,
        prompts,
        Sampling(
            max_prompt_tokens=config.max_prompt_tokens,
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            seed=seed,
        ),
        label="responses",
        progress=progress,
    )
    if task.gold is not None:
        golds = score_episodes(task.gold, episodes).scores
        episodes = [
            replace(e, gold_score=float(gold)) for e, gold in zip(episodes, golds, strict=True)
        ]
    return [episodes[i : i + num_samples] for i in range(0, len(episodes), num_samples)]


def queries_about(kind: str, groups: Sequence[Sequence[Episode]], seed: int = 0) -> list[Query]:
    """Return one question of a kind about each group of episodes of one prompt.

    Args:
        kind: One of `queries.QUERY_KINDS`.
        groups: Episodes of one prompt each, as many as the kind shows.
        seed: Part of the questions' ids, so that the same samples give the same records.
    """
    if kind not in QUERY_KINDS:
        raise ValueError(f"kind must be one of {tuple(QUERY_KINDS)}, got {kind!r}")
    queries = []
    for number, group in enumerate(groups):
        responses = tuple(Response.of_episode(episode) for episode in group)
        # One object for one prompt, so that it is stored and encoded once.
        responses = tuple(replace(r, prompt=responses[0].prompt) for r in responses)
        queries.append(
            Query(
                kind=kind,
                prompt=responses[0].prompt,
                responses=responses,
                query_id=f"{kind}-{seed}-{number}",
            )
        )
    return queries


def answers_to(teacher: Teacher, queries: Sequence[Query]) -> list[FeedbackRecord]:
    """Return what a teacher answers at once; skips are left out."""
    records = teacher.answer(queries, round_index=0)
    return [record for record in records if not isinstance(record, Skipped)]


def judge_of(task: TextTask) -> EpisodeJudge:
    """Return what a simulated teacher of the task knows.

    Raises:
        ValueError: A task without a gold utility.
    """
    if task.gold is None:
        raise ValueError("a simulated teacher needs a task with a gold utility; this one has none")
    return EpisodeJudge(gold=task.gold, prompts=task.prompts, tokenizer=task.tokenizer)
