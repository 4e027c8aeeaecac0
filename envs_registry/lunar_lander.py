"""RLHF-LunarLander-v0: land a craft, paid by what was learned from feedback.

Description:
    Gymnasium's LunarLander-v3 without its reward. Segments of what the agent does are recorded
    and can be asked about; a reward model that is learned from the answers pays the agent. The
    true reward is kept as gold. Needs `pip install textgym[box2d]`.
Observation:
    `Box((8,), float32)`: position, speed, angle and angular speed, and whether each leg stands.
Action:
    `Discrete(4)`: nothing, left, main, right engine; with `continuous=True` a `Box((2,))`: main
    engine, side engines.
Reward:
    What the reward model says of the step; 0 before the first reward model.
Episode end:
    Terminated when the craft crashes, leaves the screen or comes to rest, truncated after 1,000
    steps.
Info:
    `reward_ready`, `reward_model_version`; of a step also `true_reward`; of the last one
    `gold_score`, the true return.

Arguments:
    Those of RLHF-CartPole-v0, and `continuous` (False).
Data:
    None.
Version history:
    v0: first version.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from textgym.wrappers.feedback_env import FeedbackEnv, FeedbackEnvConfig, FeedbackVectorEnv


@dataclass(frozen=True, kw_only=True)
class LunarLanderConfig(FeedbackEnvConfig):
    """Arguments of RLHF-LunarLander-v0.

    Attributes:
        continuous: Whether the engines are throttled (a Box action) instead of switched.
    """

    continuous: bool = False

    def base_kwargs(self) -> dict[str, Any]:
        """Arguments of the environment itself."""
        return {**super().base_kwargs(), "continuous": self.continuous}


class LunarLanderEnv(FeedbackEnv):
    """One row of RLHF-LunarLander-v0; see the module's docstring."""

    base_id = "LunarLander-v3"
    config_class = LunarLanderConfig

    @classmethod
    def make_base(cls, config: FeedbackEnvConfig) -> gym.Env:
        """Make the environment itself.

        Raises:
            ImportError: Box2D is not installed.
        """
        try:
            return super().make_base(config)
        except gym.error.DependencyNotInstalled as error:
            raise ImportError(
                "RLHF-LunarLander-v0 needs Box2D: `pip install textgym[box2d]`"
            ) from error

    def best_known_action(self) -> Any:
        """Return what Gymnasium's own pilot does, a rule written by hand that lands safely."""
        pilot = importlib.import_module("gymnasium.envs.box2d.lunar_lander")
        return pilot.heuristic(self._env.unwrapped, self._seen)


class LunarLanderVectorEnv(FeedbackVectorEnv):
    """N rows of RLHF-LunarLander-v0; see the module's docstring."""

    env_class = LunarLanderEnv
