"""Which keys an info holds when; docs/environment.md shows this table, and a test compares both."""

from __future__ import annotations

from typing import Any

RESET_KEYS = frozenset({"prompt_length", "prompt", "prompt_id"})
END_KEYS = frozenset({"response", "response_ids", "finish_reason", "prompt_id"})
# Paid at once only with reward_timing="step"; otherwise `settled_episodes` has them.
SCORE_KEYS = frozenset({"score", "reward_terms"})


def expected_reset_keys(env: Any) -> frozenset[str]:
    """Return the keys of a reset's info for an unwrapped text environment."""
    return RESET_KEYS | _mask_keys(env)


def expected_step_keys(env: Any, *, is_end: bool) -> frozenset[str]:
    """Return the keys of a step's info, one row's, for an unwrapped text environment.

    Args:
        env: Single or vector.
        is_end: Whether the step ended the row's episode.
    """
    keys = frozenset({"prompt_length"}) | _mask_keys(env)
    is_paid = env.reward_timing == "step"
    if is_paid and env.task.make_reference is not None:
        keys |= {"ref_log_prob"}
    if is_paid and env.config.reward_level == "token":
        keys |= {"token_reward"}
    if not is_end:
        return keys
    keys |= END_KEYS
    if env.task.responder is not None:
        keys |= {"response_is_action"}
    if env.task.regret is not None:
        keys |= {"regret"}
    if is_paid:
        keys |= SCORE_KEYS
        keys |= {"gold_score"} if env.task.gold is not None else frozenset()
    return keys


def _mask_keys(env: Any) -> frozenset[str]:
    return frozenset({"action_mask"}) if env.config.info_action_mask else frozenset()
