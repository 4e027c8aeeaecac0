"""The regret of a policy in tables: worked by hand, and as the environment's own infos have it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from textgym.agents.benchmark.tabular_regret import agent_regret, mean_regret

# Q* of the two states in 91sts: (602, 720) and (720, 820).
LACK = np.array([118 / 91, 100 / 91])


def mdp_of(env_id: str, **kwargs: Any) -> Any:
    return gym.make(env_id, **kwargs).unwrapped.mdp  # type: ignore[attr-defined]


def test_two_states_worked_by_hand() -> None:
    best, worst = np.array([[0.0, 1.0]] * 2), np.array([[1.0, 0.0]] * 2)
    mdp = mdp_of("TwoState-v0", max_steps=2)
    assert mean_regret(mdp, best) == pytest.approx(0.0)
    # It begins in either state with .5; action 0 leads to state 1 with .5 and .8.
    first, second = np.array([0.5, 0.5]), np.array([0.35, 0.65])
    assert mean_regret(mdp, worst) == pytest.approx((first @ LACK + second @ LACK) / 2)
    # Wrong in state 0 alone.
    mixed = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert mean_regret(mdp, mixed) == pytest.approx(LACK[0] * (0.5 + (0.25 + 0.05)) / 2)


@pytest.mark.parametrize("env_id", ["TwoState-v0", "TextMaze-Corridor-v0"])
def test_it_is_the_mean_of_the_infos(env_id: str) -> None:
    env = gym.make(env_id)
    env.action_space.seed(0)
    regrets = []
    for seed in range(300):
        env.reset(seed=seed)
        is_end = False
        while not is_end:
            _, _, terminated, truncated, info = env.step(env.action_space.sample())
            regrets.append(info["regret"])
            is_end = terminated or truncated
    mdp = mdp_of(env_id)
    even = np.full((mdp.num_states, mdp.num_actions), 1 / mdp.num_actions)
    # Steps of an episode go together: some 7,000 of them tell it to a few hundredths.
    assert mean_regret(mdp, even) == pytest.approx(np.mean(regrets), abs=0.05)


def test_an_agent_is_measured_by_its_chances() -> None:
    agent = PPO("MlpPolicy", gym.make("TwoState-v0"), device="cpu")
    with torch.no_grad():
        agent.policy.action_net.weight.zero_()
        agent.policy.action_net.bias.copy_(torch.tensor([0.0, 1.0]).log1p())  # odds 1 to 2
    found = agent_regret("TwoState-v0", agent)
    assert found is not None and found.measure == "mean regret" and not found.is_solved
    expected = mean_regret(mdp_of("TwoState-v0"), np.array([[1 / 3, 2 / 3]] * 2))
    assert found.found == pytest.approx(expected, rel=1e-5)
    with torch.no_grad():
        agent.policy.action_net.bias.copy_(torch.tensor([0.0, 9.0]))
    solved = agent_regret("TwoState-v0", agent)
    assert solved is not None and solved.is_solved
    assert agent_regret("TextMaze-v0", agent) is None
