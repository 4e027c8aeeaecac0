"""A Markov decision process in tables, and its exact solution. Shape letters: S states, A actions.

Knows no environment: `tabular_env` plays what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

TOLERANCE = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class TabularMDP:
    """States, actions, chances and rewards.

    Attributes:
        transitions: (S, A, S) float64, the chance of each next state; rows sum to 1.
        rewards: (S, A) float64, the mean reward of an action in a state.
        start: (S,) float64, the chance that an episode begins there; sums to 1.
        is_end: (S,) bool, True where an episode is over; nothing is paid from there on.
        gamma: Discount, in [0, 1).
        max_steps: An episode is truncated after so many steps, at least 1.
    """

    transitions: np.ndarray
    rewards: np.ndarray
    start: np.ndarray
    is_end: np.ndarray
    gamma: float
    max_steps: int

    def __post_init__(self) -> None:
        """Check shapes and sums.

        Raises:
            ValueError: Tables that do not fit each other, or chances that do not sum to 1.
        """
        num_states, num_actions = self.rewards.shape
        expected = (num_states, num_actions, num_states)
        if self.transitions.shape != expected:
            raise ValueError(f"transitions must be {expected}, got {self.transitions.shape}")
        for name in ("start", "is_end"):
            if (shape := getattr(self, name).shape) != (num_states,):
                raise ValueError(f"{name} must be ({num_states},), got {shape}")
        for name in ("transitions", "start"):
            chances = getattr(self, name)
            if chances.min() < 0 or not np.allclose(chances.sum(axis=-1), 1.0):
                raise ValueError(f"{name} must be chances that sum to 1, got {chances!r}")
        if not 0.0 <= self.gamma < 1.0:
            raise ValueError(f"gamma must lie in [0, 1), got {self.gamma!r}")
        if self.max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {self.max_steps!r}")

    @property
    def num_states(self) -> int:
        """S."""
        return self.rewards.shape[0]

    @property
    def num_actions(self) -> int:
        """A."""
        return self.rewards.shape[1]

    @cached_property
    def optimal_values(self) -> np.ndarray:
        """V*, (S,) float64: discounted, without the truncation; exact up to rounding.

        Found by policy iteration, whose every step solves the linear equations of a policy.
        """
        policy = np.zeros(self.num_states, dtype=np.int64)
        while True:
            q = self.q_of(self.policy_values(policy))
            best = q.max(axis=1)
            is_better = best > q[np.arange(self.num_states), policy] + TOLERANCE
            if not is_better.any():
                return np.where(self.is_end, 0.0, best)
            policy = np.where(is_better, q.argmax(axis=1), policy)

    @cached_property
    def optimal_q(self) -> np.ndarray:
        """Q*, (S, A) float64: 0 in states where an episode is over."""
        return self.q_of(self.optimal_values)

    @property
    def optimal_start_value(self) -> float:
        """Mean of V* over the states in which episodes begin."""
        return float(self.start @ self.optimal_values)

    @cached_property
    def best_return(self) -> float:
        """The best mean sum of the rewards of an episode, undiscounted, truncation included."""
        values = np.zeros(self.num_states)
        for _ in range(self.max_steps):
            q = self.rewards + self.transitions @ values
            values = np.where(self.is_end, 0.0, q.max(axis=1))
        return float(self.start @ values)

    @cached_property
    def random_return(self) -> float:
        """The same sum of uniformly random actions."""
        values = np.zeros(self.num_states)
        for _ in range(self.max_steps):
            q = self.rewards + self.transitions @ values
            values = np.where(self.is_end, 0.0, q.mean(axis=1))
        return float(self.start @ values)

    def q_of(self, values: np.ndarray) -> np.ndarray:
        """Return (S, A): the reward of each action and the discounted `values` (S,) behind it."""
        q = self.rewards + self.gamma * self.transitions @ values
        return np.where(self.is_end[:, None], 0.0, q)

    def policy_values(self, policy: np.ndarray) -> np.ndarray:
        """Return V of a policy, (S,) float64.

        Args:
            policy: (S,) int64 actions, or (S, A) probabilities.
        """
        if policy.ndim == 1:
            policy = np.eye(self.num_actions)[policy]
        goes_on = np.where(self.is_end, 0.0, 1.0)
        rewards = goes_on * (policy * self.rewards).sum(axis=1)
        moves = goes_on[:, None] * np.einsum("sa,sat->st", policy, self.transitions)
        return np.linalg.solve(np.eye(self.num_states) - self.gamma * moves, rewards)


def value_iteration(mdp: TabularMDP, tolerance: float = 1e-10) -> np.ndarray:
    """Return V*, (S,) float64, by sweeps of the Bellman update; off by at most `tolerance`."""
    values = np.zeros(mdp.num_states)
    while True:
        updated = mdp.q_of(values).max(axis=1)
        change = float(np.abs(updated - values).max())
        values = updated
        if change * mdp.gamma <= tolerance * (1.0 - mdp.gamma):
            return values
