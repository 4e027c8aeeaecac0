"""One rollout on Probe-ExactKL-v0: KL, rewards, returns and advantages worked out from the tables.

Nothing of the library's rollout, shaping or advantage code is used for the expected numbers: only
the environment's tables and the policy's own distribution in each state.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

from textgym.agents import PPO
from textgym.envs_registry.exact_kl import EOS, MAX_NEW_TOKENS, VOCAB_SIZE, ExactKLTables

N_ENVS, N_STEPS, KL_COEF, GAMMA, LAMBDA = 16, 10, 0.3, 0.9, 0.8


class Keep(BaseCallback):
    """Copies what the last rollout left, before the update changes the policy."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.found: dict[str, Any] = {}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        agent: Any = self.model
        buffer = agent.rollout_buffer
        names = ("actions", "rewards", "log_probs", "step_values", "advantages")
        self.found = {name: getattr(buffer, name).copy() for name in names}
        self.found["kl"] = agent.logger.name_to_value["rollout/kl"]
        self.found["score"] = agent.logger.name_to_value["rollout/score"]
        self.found["returns"] = [b.returns.numpy() for b in buffer.get(None)][0]
        self.found["tables"] = state_tables(agent)


def state_tables(agent: Any) -> dict[tuple[int, ...], tuple[np.ndarray, float]]:
    """Return log pi (6,) and V of every state."""
    states = ExactKLTables(0).states
    obs = np.full((len(states), agent.policy.width), VOCAB_SIZE)
    for row, state in zip(obs, states, strict=True):
        row[: len(state) + 1] = (0, *state)
    with th.no_grad():
        log_probs = agent.policy.get_distribution(th.as_tensor(obs)).distribution.logits
        values = agent.policy.predict_values(th.as_tensor(obs)).flatten()
    return dict(zip(states, zip(log_probs.numpy(), values.tolist(), strict=True), strict=True))


@pytest.fixture(scope="module")
def rollout() -> dict[str, Any]:
    """Return the second rollout, so that the policy is away from the reference and V from 0."""
    env = gym.make_vec("Probe-ExactKL-v0", num_envs=N_ENVS, kl_coef=KL_COEF)
    agent = PPO(
        "TransformerPolicy",
        env,
        n_steps=N_STEPS,
        gamma=GAMMA,
        gae_lambda=LAMBDA,
        learning_rate=1e-2,
        policy_kwargs={"model": "scratch:layers=1,width=16,heads=2"},
        seed=0,
        device="cpu",
    )
    agent.learn(N_ENVS * N_STEPS)
    keep = Keep()
    agent.learn(N_ENVS * N_STEPS, callback=keep, reset_num_timesteps=True)
    return keep.found


def walk(rollout: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Replay the actions of each row by the rules of the MDP, from the tables alone."""
    tables, own = ExactKLTables(0), rollout["tables"]
    rows = []
    for actions in rollout["actions"]:
        state: tuple[int, ...] = ()
        steps = []
        for action in actions.tolist():
            reference = tables.logits[state] - np.log(np.exp(tables.logits[state]).sum())
            log_pi, value = float(own[state][0][action]), own[state][1]
            after = (*state, action)
            is_end = action == EOS or len(after) == MAX_NEW_TOKENS
            score = tables.scores[after] if is_end else 0.0
            log_ratio = log_pi - reference[action]
            reward = score - KL_COEF * log_ratio
            state = () if is_end else after
            steps.append(
                {"log_pi": log_pi, "value": value, "log_ratio": log_ratio, "reward": reward}
                | {"is_end": is_end, "score": score, "next_value": own[state][1]}
            )
        rows.append(steps)
    return rows


def advantage(steps: list[dict[str, Any]], first: int) -> float:
    """Sum (gamma lambda)^k delta_k over the rest of the episode that the rollout saw."""
    total, weight = 0.0, 1.0
    for step in steps[first:]:
        successor = 0.0 if step["is_end"] else step["next_value"]
        total += weight * (step["reward"] + GAMMA * successor - step["value"])
        if step["is_end"]:
            break
        weight *= GAMMA * LAMBDA
    return total


def column(rows: list[list[dict[str, Any]]], name: str) -> list[list[float]]:
    return [[step[name] for step in steps] for steps in rows]


def test_log_probs_values_and_shaped_rewards(rollout: dict[str, Any]) -> None:
    rows = walk(rollout)
    np.testing.assert_allclose(rollout["log_probs"], column(rows, "log_pi"), atol=1e-5)
    np.testing.assert_allclose(rollout["step_values"], column(rows, "value"), atol=1e-5)
    np.testing.assert_allclose(rollout["rewards"], column(rows, "reward"), atol=1e-5)
    assert np.abs(column(rows, "value")).max() > 0.1


def test_advantages_and_returns(rollout: dict[str, Any]) -> None:
    rows = walk(rollout)
    expected = [[advantage(steps, t) for t in range(N_STEPS)] for steps in rows]
    np.testing.assert_allclose(rollout["advantages"], expected, atol=1e-4)
    returns = (np.array(expected) + column(rows, "value")).flatten()
    np.testing.assert_allclose(np.sort(rollout["returns"]), np.sort(returns), atol=1e-4)


def test_kl_is_summed_over_responses_and_averaged_over_episodes(rollout: dict[str, Any]) -> None:
    kls, scores = [], []
    for steps in walk(rollout):
        running = 0.0
        for step in steps:
            running += step["log_ratio"]
            if step["is_end"]:
                kls.append(running)
                scores.append(step["score"])
                running = 0.0
    assert len(kls) > 30
    assert rollout["kl"] == pytest.approx(np.mean(kls), abs=1e-5)
    assert abs(rollout["kl"]) > 0.05
    assert rollout["score"] == pytest.approx(np.mean(scores), abs=1e-5)
