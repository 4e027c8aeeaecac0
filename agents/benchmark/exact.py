"""How far an agent is from an optimum that is known exactly: what a mean score cannot say.

In Probe-ExactKL-v0 the objective is the score less a KL term; in Probe-ValueOnly-v0 nothing is to
be decided, only values are to be predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from textgym.agents.policies.transformer_policy import TransformerPolicy
from textgym.envs_registry.exact_kl import VOCAB_SIZE
from textgym.envs_registry.exact_kl_solution import Policy, exact_solution, regret

REGRET, VALUE_ERROR = "regret", "value error"
# Solved up to here.
LIMITS = {REGRET: 0.01, VALUE_ERROR: 0.05}


@dataclass(frozen=True, kw_only=True)
class Exact:
    """One exact measure of an agent.

    Attributes:
        measure: `REGRET` (share of what can be gained over the reference) or `VALUE_ERROR` (root of
            the mean square over all states).
        found: The number, at least 0 but for rounding.
    """

    measure: str
    found: float

    @property
    def is_solved(self) -> bool:
        """Whether the number is within its limit."""
        return self.found <= LIMITS[self.measure]


def exact_measure(env_id: str, policy: TransformerPolicy) -> Exact | None:
    """Measure a trained policy, its critic included; None where a mean score says it all."""
    if env_id not in _MEASURES:
        return None
    measure, measured = _MEASURES[env_id]
    return Exact(measure=measure, found=measured(gym.make_vec(env_id, num_envs=1), policy))


def policy_table(envs: Any, policy: TransformerPolicy) -> Policy:
    """Return the policy's probabilities in every state of Probe-ExactKL-v0."""
    states = list(exact_solution(envs).policy)
    observations = np.full((len(states), envs.single_observation_space.shape[0]), VOCAB_SIZE)
    for row, state in zip(observations, states, strict=True):
        row[: len(state) + 1] = (0, *state)
    with torch.no_grad():
        chances = policy.get_distribution(_on(policy, observations)).distribution.probs
    return dict(zip(states, chances.double().cpu().numpy(), strict=True))


def value_error(envs: Any, policy: TransformerPolicy) -> float:
    """Return how far the critic is from V* over all states, root of the mean square."""
    solution = envs.unwrapped.solution
    observations = solution.observations()
    with torch.no_grad():
        values = policy.predict_values(_on(policy, observations)).flatten()
    return float(np.sqrt(np.mean((values.cpu().numpy() - solution.values(observations)) ** 2)))


def _on(policy: TransformerPolicy, observations: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(observations, device=policy.device)


def _regret(envs: Any, policy: TransformerPolicy) -> float:
    return regret(envs, policy_table(envs, policy))


_MEASURES: Mapping[str, tuple[str, Callable[[Any, TransformerPolicy], float]]] = {
    "Probe-ExactKL-v0": (REGRET, _regret),
    "Probe-ValueOnly-v0": (VALUE_ERROR, value_error),
}
