"""The agent's half of the KL-shaped reward.

KL(pi || pi_ref) is the mean of log pi - log pi_ref. The environment knows pi_ref and pays
`kl_coef * log pi_ref(a|s)` in its rewards; it cannot know pi. The agent pays the other half here.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch as th

Array = TypeVar("Array", np.ndarray, th.Tensor)


def kl_shaped(rewards: Array, log_probs: Array, kl_coef: float) -> Array:
    """Add the agent's half of the KL penalty to the environment's rewards.

    Args:
        rewards: Rewards as the environment paid them, any shape.
        log_probs: log pi(a|s) of the actions taken, in nats, under the policy that took them; the
            same shape.
        kl_coef: The environment's KL weight, at least 0. Read it from the environment, so that the
            two halves never drift apart.

    Returns:
        `rewards - kl_coef * log_probs`, a new array of the same kind and shape.

    Raises:
        ValueError: The shapes differ, or `kl_coef` is negative or not finite.
    """
    if tuple(rewards.shape) != tuple(log_probs.shape):
        raise ValueError(
            f"rewards and log_probs must have the same shape, got {tuple(rewards.shape)} "
            f"and {tuple(log_probs.shape)}"
        )
    if not 0.0 <= kl_coef < float("inf"):
        raise ValueError(f"kl_coef must be finite and at least 0, got {kl_coef!r}")
    return rewards - kl_coef * log_probs
