"""What is measured on a bundle: the reference model's samples and the reward model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textgym.agents.bundles.comparisons import Comparisons, Sampling
from textgym.agents.bundles.episode_sources import EpisodeSource
from textgym.agents.supervised.reward_measures import reward_measures
from textgym.agents.supervised.scoring_head import score_sequences
from textgym.intervals import mean_interval, paired_difference, ratio_interval
from textgym.models.loading import load_sequence_classifier
from textgym.models.reward_model import read_score_scale
from textgym.rewards.base import RewardFn, score_episodes
from textgym.tokenizer import Tokenizer, load_tokenizer
from textgym.types import Episode, Prompt

Measured = dict[str, Any]


def measure_bundle(
    reference_model: Path,
    reward_model: Path,
    prompts: Sequence[Prompt],
    held_out: Comparisons,
    gold: RewardFn,
    sampling: Sampling,
    source: EpisodeSource,
    *,
    device: torch.device,
) -> Measured:
    """Measure both models of a bundle.

    Args:
        reference_model: Folder of the causal LM.
        reward_model: Folder of the classifier, with `textgym.json`.
        prompts: Held-out prompts with human references.
        held_out: Judged comparisons on other held-out prompts.
        gold: The hidden utility.
        sampling: How responses are drawn.
        source: Who draws them.
        device: Where the classifier runs.

    Returns:
        Plain numbers: estimates as dicts of mean, low, high, count (intervals of 95 %).
    """
    classifier = load_sequence_classifier(reward_model, device=device)
    tokenizer = load_tokenizer(reference_model)
    sampled, greedy = (
        source.sampled(reference_model, prompts, how, "validation", f"{name} responses")
        for name, how in (("sampled", sampling), ("greedy", replace(sampling, temperature=0.0)))
    )
    human = [source.human(prompt, tokenizer, sampling) for prompt in prompts]
    utility = {
        name: score_episodes(gold, episodes).scores.astype(np.float64)
        for name, episodes in (("sampled", sampled), ("greedy", greedy), ("human", human))
    }
    scale = read_score_scale(reward_model)
    raw = score_sequences(
        classifier,
        [e.prompt_ids + e.response_ids for e in sampled],
        starts=[len(e.prompt_ids) for e in sampled],
        token_aggregate=scale.token_aggregate,
    )
    scores = raw * scale.gain + scale.bias
    return {
        "reference_model": _reference_numbers(utility, sampled, prompts, tokenizer),
        "reward_model": {
            **_held_out_numbers(classifier, tokenizer, held_out, sampling, scale.token_aggregate),
            "score_mean": mean_interval(scores).as_dict(),
            "score_std": float(scores.std()),
            "correlation_with_gold": float(np.corrcoef(scores, utility["sampled"])[0, 1]),
        },
        "examples": _examples(prompts, human, sampled, greedy, utility, scores),
    }


def _reference_numbers(
    utility: dict[str, np.ndarray],
    sampled: Sequence[Episode],
    prompts: Sequence[Prompt],
    tokenizer: Tokenizer,
) -> Measured:
    prompt_lengths = [len(tokenizer.encode(prompt.text)) for prompt in prompts]
    lengths = np.array([len(e.response_ids) for e in sampled])
    return {
        **{f"gold_{name}": mean_interval(v).as_dict() for name, v in utility.items()},
        "gold_sampled_over_human": ratio_interval(utility["sampled"], utility["human"]).as_dict(),
        "gold_sampled_minus_human": paired_difference(
            utility["sampled"], utility["human"]
        ).as_dict(),
        "response_tokens": mean_interval(lengths).as_dict(),
        "ended_by_eos": float(np.mean([e.finish_reason == "eos" for e in sampled])),
        "prompt_tokens_mean": float(np.mean(prompt_lengths)),
        "prompt_tokens_max": int(np.max(prompt_lengths)),
    }


def _held_out_numbers(
    classifier: Any,
    tokenizer: Tokenizer,
    held_out: Comparisons,
    sampling: Sampling,
    token_aggregate: str | None,
) -> Measured:
    prompts = [tuple(tokenizer.encode(p.prompt)) for p in held_out.pairs]
    cut = [prompt[-sampling.max_prompt_tokens :] for prompt in prompts]
    sides = [
        [prompt + ids for prompt, ids in zip(cut, responses, strict=True)]
        for responses in (
            [pair.chosen_ids for pair in held_out.pairs],
            [pair.rejected_ids for pair in held_out.pairs],
        )
    ]
    scores = score_sequences(
        classifier,
        [*sides[0], *sides[1]],
        starts=[len(prompt) for prompt in (*cut, *cut)],
        token_aggregate=token_aggregate,
    )
    half = len(held_out.pairs)
    return reward_measures(held_out.pairs, scores[:half] - scores[half:]).as_dict()


def _examples(
    prompts: Sequence[Prompt],
    human: Sequence[Episode],
    sampled: Sequence[Episode],
    greedy: Sequence[Episode],
    utility: dict[str, np.ndarray],
    scores: np.ndarray,
    count: int = 4,
) -> list[Measured]:
    return [
        {
            "prompt": prompts[i].text,
            "human": human[i].response,
            "human_gold": float(utility["human"][i]),
            "sampled": sampled[i].response,
            "sampled_gold": float(utility["sampled"][i]),
            "sampled_score": float(scores[i]),
            "greedy": greedy[i].response,
            "greedy_gold": float(utility["greedy"][i]),
        }
        for i in range(min(count, len(prompts)))
    ]
