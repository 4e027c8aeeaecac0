"""How far an agent is from an optimum that is known exactly: what a mean score cannot say.

In Probe-ExactKL-v0 the objective J is the score less a KL term; in Probe-ValueOnly-v0 nothing is to
be decided, only values are to be predicted; TwoState-v0 is in `tabular_regret`. Regret is J* - J,
in the units of the reward; relative regret its share of J* - J_ref, what can be gained over the
reference.
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
from textgym.envs_registry.exact_kl_solution import (
    Policy,
    exact_solution,
    objective,
    relative_regret,
)

RELATIVE_REGRET, VALUE_ERROR, MEAN_REGRET = "relative regret", "value error", "mean regret"
# Solved up to here.
LIMITS = {RELATIVE_REGRET: 0.01, VALUE_ERROR: 0.05, MEAN_REGRET: 0.02}


@dataclass(frozen=True, kw_only=True)
class Exact:
    """One exact measure of an agent.

    Attributes:
        measure: `RELATIVE_REGRET`, `VALUE_ERROR` (root of the mean square over all states) or
            `MEAN_REGRET` (of a step, see `tabular_regret`).
        found: The number, at least 0 but for rounding.
        objective: J of the agent's policy, in the units of the reward; None where a mean score is
            compared.
    """

    measure: str
    found: float
    objective: float | None = None

    @property
    def is_solved(self) -> bool:
        """Whether the number is within its limit."""
        return self.found <= LIMITS[self.measure]


def exact_measure(env_id: str, policy: TransformerPolicy) -> Exact | None:
    """Measure a trained policy, its critic included; None where a mean score says it all."""
    if env_id not in _MEASURES:
        return None
    return _MEASURES[env_id](gym.make_vec(env_id, num_envs=1), policy)


def known_tables(env_id: str) -> dict[str, Policy]:
    """Return "random", "reference" and "best_known" by state; empty where they are not exact."""
    if env_id != "Probe-ExactKL-v0":
        return {}
    solution = exact_solution(gym.make(env_id))
    even = np.full(VOCAB_SIZE, 1 / VOCAB_SIZE)
    return {
        "random": dict.fromkeys(solution.policy, even),
        "reference": solution.reference_policy,
        "best_known": solution.policy,
    }


def known_objectives(env_id: str) -> dict[str, float]:
    """Return J of each of `known_tables`; nothing is made where there are none."""
    tables = known_tables(env_id)
    env = gym.make(env_id) if tables else None
    return {name: objective(env, table) for name, table in tables.items()}


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


def _of_objective(envs: Any, policy: TransformerPolicy) -> Exact:
    table = policy_table(envs, policy)
    return Exact(
        measure=RELATIVE_REGRET,
        found=relative_regret(envs, table),
        objective=objective(envs, table),
    )


def _of_values(envs: Any, policy: TransformerPolicy) -> Exact:
    return Exact(measure=VALUE_ERROR, found=value_error(envs, policy))


_MEASURES: Mapping[str, Callable[[Any, TransformerPolicy], Exact]] = {
    "Probe-ExactKL-v0": _of_objective,
    "Probe-ValueOnly-v0": _of_values,
}
