"""What a row's info says at a reset and at an end; one table for single and vector environments."""

from __future__ import annotations

from typing import Any

from textgym.mdp_rows import MDPRows
from textgym.types import Episode


def reset_info(rows: MDPRows, row: int) -> dict[str, Any]:
    """Return the info of a row that begins: `prompt_length`, `prompt`, `prompt_id`."""
    prompt = rows.prompts[row]
    assert prompt is not None
    return {
        "prompt_length": int(rows.prompt_lengths[row]),
        "prompt": prompt.text,
        "prompt_id": prompt.prompt_id,
    }


def end_info(episode: Episode) -> dict[str, Any]:
    """Return what an ended row's info holds beyond every step's keys.

    `response_is_action` is there where the environment answers, `regret` where the optimum is
    known; `score`, `gold_score` and `reward_terms` are missing while rewards are withheld,
    `gold_score` also where the task or the prompt has none.
    """
    info: dict[str, Any] = {
        "response": episode.response,
        # A tuple: arrays of unequal length would not stack in a vector info.
        "response_ids": episode.response_ids,
        "finish_reason": episode.finish_reason,
        "prompt_id": episode.prompt.prompt_id,
    }
    if episode.response_is_action:
        info["response_is_action"] = episode.response_is_action
    if episode.regret is not None:
        info["regret"] = episode.regret
    if episode.score is not None:
        info["score"] = episode.score
        info["reward_terms"] = dict(episode.reward_terms)
    if episode.gold_score is not None:
        info["gold_score"] = episode.gold_score
    return info
