"""TwoState-v0: the smallest decision process worth learning, solved exactly.

Description:
    Two states and two actions, as a textbook exercise of Q-learning has them. With chances
    P(1|0,0) = .5, P(1|0,1) = .8, P(0|1,0) = .2, P(0|1,1) = .1 and rewards R(0,0) = -1, R(0,1) = 0,
    R(1,0) = 0, R(1,1) = 1, at a discount of .9, V* = (720/91, 820/91), Q*(0, .) = (602/91, 720/91)
    and Q*(1, .) = (720/91, 820/91): action 1 is best in both. Solved: Q* within 0.5 in every entry
    by Q-learning of 20,000 steps, or a mean `regret` below 0.02 by any other algorithm.
Observation:
    `Discrete(2)`: the state. An episode begins in either with the same chance;
    `reset(options={"state": 1})` chooses.
Action:
    `Discrete(2)`.
Reward:
    R(s, a), see above.
Episode end:
    Never terminated: a continuing task, truncated after 100 steps, where an algorithm bootstraps.
Info:
    `state`; of a step also `regret`, V*(s) - Q*(s, a).

Arguments:
    `gamma` (0.9) of the exact solution, `max_steps` (100), `render_mode`. The unwrapped environment
    has `optimal_values` (2,), `optimal_q` (2, 2) and the tables as `mdp`.
Data:
    None.
Version history:
    v0: first version.
"""

from __future__ import annotations

import numpy as np

from textgym.envs_registry.tabular import TabularMDP
from textgym.envs_registry.tabular_env import TabularConfig, TabularEnv, TabularVectorEnv

# The chance of the next state 1, by state and action.
TO_ONE = np.array([[0.5, 0.8], [0.8, 0.9]])
REWARDS = np.array([[-1.0, 0.0], [0.0, 1.0]])


def two_states(config: TabularConfig) -> TabularMDP:
    """Return the tables."""
    return TabularMDP(
        transitions=np.stack([1.0 - TO_ONE, TO_ONE], axis=-1),
        rewards=REWARDS,
        start=np.array([0.5, 0.5]),
        is_end=np.array([False, False]),
        gamma=config.gamma,
        max_steps=config.max_steps,
    )


class TwoStateEnv(TabularEnv):
    """One row of TwoState-v0; see the module's docstring."""

    build_mdp = staticmethod(two_states)


class TwoStateVectorEnv(TabularVectorEnv):
    """N rows of TwoState-v0; see the module's docstring."""

    env_class = TwoStateEnv
