"""One update of Stable-Baselines3's PPO, unmodified: whatever the environment is, agents run."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from textgym.testing.case import Case

STEPS = 16


class OnlyAllowed(gym.ActionWrapper):
    """Takes the first allowed action for one that is masked: plain PPO knows no masks."""

    def action(self, action: Any) -> Any:
        """Return the action, or the first allowed one."""
        masks = self.env.unwrapped.action_masks()  # type: ignore[attr-defined]
        return action if masks[int(action)] else int(np.argmax(masks))


def check_ppo_update(case: Case) -> None:
    """Check that PPO collects `STEPS` steps and that its update moves finite weights."""
    env = case.make()
    if hasattr(env.unwrapped, "action_masks"):
        env = OnlyAllowed(env)
    is_dict = isinstance(env.observation_space, spaces.Dict)
    agent = PPO(
        "MultiInputPolicy" if is_dict else "MlpPolicy",
        env,
        n_steps=STEPS,
        batch_size=STEPS,
        n_epochs=1,
        device="cpu",
    )
    before = [weights.detach().clone() for weights in agent.policy.parameters()]
    agent.learn(STEPS)
    after = list(agent.policy.parameters())
    assert agent.num_timesteps == STEPS, f"PPO took {agent.num_timesteps} steps, not {STEPS}"
    assert all(torch.isfinite(weights).all() for weights in after), "PPO's weights are not finite"
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)), (
        "PPO's update changed nothing"
    )
