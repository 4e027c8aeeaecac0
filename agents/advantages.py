"""Advantages and whitening over a rollout. Shape letters: T steps, N environments."""

from __future__ import annotations

import numpy as np


def generalized_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    is_end: np.ndarray,
    last_values: np.ndarray,
    *,
    gamma: float = 1.0,
    gae_lambda: float = 0.95,
) -> np.ndarray:
    """Generalised advantage estimation, all environments at once.

    `delta_t = r_t + gamma * V(s_t+1) - V(s_t)` and `A_t = delta_t + gamma * gae_lambda * A_t+1`,
    where an episode's last step has no successor. The return of a step is `A_t + V(s_t)`.

    Args:
        rewards: (T, N) rewards, the agent's half of the KL penalty included; where a wrapper cut
            an episode short, `gamma * V(final observation)` included too.
        values: (T, N) V(s_t) under the policy that acted.
        is_end: (T, N) bool, True where the episode ended with this step (and where a step is not
            part of any episode, so that nothing flows through it).
        last_values: (N,) V of the state after the last step; ignored where that step was an end.
        gamma: Discount in [0, 1].
        gae_lambda: Trade of bias against variance, in [0, 1].

    Returns:
        (T, N) float32 advantages.

    Raises:
        ValueError: The shapes do not agree.
    """
    if not rewards.shape == values.shape == is_end.shape or rewards.ndim != 2:
        raise ValueError(
            f"rewards, values and is_end must share one shape (T, N), got {rewards.shape}, "
            f"{values.shape} and {is_end.shape}"
        )
    if last_values.shape != rewards.shape[1:]:
        raise ValueError(f"last_values must be {rewards.shape[1:]}, got {last_values.shape}")
    advantages = np.zeros(rewards.shape, dtype=np.float32)
    goes_on = 1.0 - is_end.astype(np.float32)
    running = np.zeros(rewards.shape[1], dtype=np.float32)
    next_values = np.asarray(last_values, dtype=np.float32)
    for step in range(rewards.shape[0] - 1, -1, -1):
        delta = rewards[step] + gamma * goes_on[step] * next_values - values[step]
        running = delta + gamma * gae_lambda * goes_on[step] * running
        advantages[step] = running
        next_values = values[step]
    return advantages


def whiten(numbers: np.ndarray, *, shift_mean: bool = True) -> np.ndarray:
    """Scale to variance 1 (biased estimate, 1e-8 added) and, by choice, shift to mean 0.

    Args:
        numbers: (M,) numbers, M at least 1; only entries that count, no padding.
        shift_mean: False keeps the mean, as is usual for rewards.

    Returns:
        (M,) float32.
    """
    mean = numbers.mean()
    scaled = (numbers - mean) / np.sqrt(numbers.var() + 1e-8)
    return (scaled if shift_mean else scaled + mean).astype(np.float32)
