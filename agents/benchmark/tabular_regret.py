"""How much a policy loses in each step of a world whose optimum is in tables, exactly.

Shape letters: S states, A actions.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from textgym.agents.benchmark.exact import MEAN_REGRET, Exact
from textgym.envs_registry.tabular import TabularMDP

# Whose documentation says "Solved:" by the regret.
BY_REGRET = ("TwoState-v0",)


def agent_regret(env_id: str, agent: OnPolicyAlgorithm) -> Exact | None:
    """Measure an agent of Stable-Baselines3; None where a mean return says it all."""
    if env_id not in BY_REGRET:
        return None
    core: Any = gym.make(env_id).unwrapped
    observations = np.stack([core.observe(state) for state in range(core.mdp.num_states)])
    with torch.no_grad():
        tensors, _ = agent.policy.obs_to_tensor(observations)
        found: Any = agent.policy.get_distribution(tensors).distribution
        chances = found.probs
    return Exact(measure=MEAN_REGRET, found=mean_regret(core.mdp, chances.double().numpy()))


def mean_regret(mdp: TabularMDP, policy: np.ndarray) -> float:
    """Return the mean of V*(s) - Q*(s, a) over an episode's steps, its truncation included.

    Args:
        mdp: The tables.
        policy: (S, A) probabilities.
    """
    lacking = (policy * (mdp.optimal_values[:, None] - mdp.optimal_q)).sum(axis=1)
    moves = np.einsum("sa,sat->st", policy, mdp.transitions)
    chances, visits = mdp.start, np.zeros(mdp.num_states)
    for _ in range(mdp.max_steps):
        chances = np.where(mdp.is_end, 0.0, chances)
        visits = visits + chances
        chances = chances @ moves
    return float(visits @ lacking / visits.sum())
