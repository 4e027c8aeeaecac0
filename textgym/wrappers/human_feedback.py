"""Any Gymnasium environment without text, paid by a reward that was learned from feedback.

Loads no torch: the learned reward comes in as a `RewardPredictor`.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from textgym.env_parts import require_one_reward
from textgym.feedback.segment_feedback import (
    MemberPredictor,
    RewardPredictor,
    SegmentFeedback,
    SegmentFeedbackConfig,
)

__all__ = [
    "HumanFeedback",
    "MemberPredictor",
    "RewardPredictor",
    "SegmentFeedback",
    "SegmentFeedbackConfig",
    "TrueReward",
]


class HumanFeedback(gym.Wrapper):
    """Records segments of the trajectory to ask about, and pays what the learned reward says.

    Every info has "reward_ready" (False before the first reward model: all steps pay 0 then) and
    "reward_model_version" (0 then). A step's also has "true_reward", what the environment itself
    paid, and an episode's last one "gold_score", the sum of those.

    The rows of a vector environment share one `SegmentFeedback`, in one process: their questions
    come from all of them, and a new reward model pays all of them from their next step on.

    Attributes:
        feedback: Where segments go, and where the reward comes from.
    """

    def __init__(self, env: gym.Env, feedback: SegmentFeedback | None = None) -> None:
        """Wrap an environment whose spaces flatten to arrays.

        Args:
            env: Any environment without text.
            feedback: Shared by the rows; one of its own by default.

        Raises:
            ValueError: A space that does not flatten to a fixed number of numbers, or rewards that
                are vectors.
        """
        super().__init__(env)
        require_one_reward(env.unwrapped)
        for name, space in (("observation", env.observation_space), ("action", env.action_space)):
            if not space.is_np_flattenable:
                raise ValueError(f"the {name} space must flatten to an array, got {space}")
        self.feedback = feedback or SegmentFeedback()
        self._recorder = self.feedback.recorder()
        self._seen = np.zeros(0, dtype=np.float32)
        self._true_return = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; see the wrapped environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._recorder.begin()
        self._seen, self._true_return = self._flat(observation), 0.0
        return observation, {**info, **self._reward_info()}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Act, and be paid by the learned reward."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        done = self._flat_action(action)
        paid = self.feedback.reward(self._seen, done)
        info = {**info, **self._reward_info(), "true_reward": float(reward)}
        self._recorder.add(self._seen, done, float(reward), terminated=bool(terminated))
        self._seen = self._flat(observation)
        self._true_return += float(reward)
        if terminated or truncated:
            info["gold_score"] = self._true_return
        self.feedback.after_step()
        return observation, paid, bool(terminated), bool(truncated), info

    def _reward_info(self) -> dict[str, Any]:
        return {
            "reward_ready": self.feedback.is_ready,
            "reward_model_version": self.feedback.version,
        }

    def _flat(self, observation: Any) -> np.ndarray:
        return np.array(spaces.flatten(self.env.observation_space, observation), dtype=np.float32)

    def _flat_action(self, action: Any) -> np.ndarray | int:
        if isinstance(self.env.action_space, spaces.Discrete):
            return int(action)
        return np.array(spaces.flatten(self.env.action_space, action), dtype=np.float32)


class TrueReward(gym.Wrapper):
    """Pays the environment's own reward again, out of "true_reward": for comparisons."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Act."""
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, info["true_reward"], terminated, truncated, info
