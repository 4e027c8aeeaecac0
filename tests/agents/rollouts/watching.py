"""What the tests of rollouts look through: a callback, and what it may note of an agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

MakeEnv = Callable[..., Any]
MANY_ENDS = (2, 7, 11, 20, 40, 41, 43)  # four of seven end an episode


class Watch(BaseCallback):
    """Takes notes at the end of each rollout, before the update."""

    def __init__(self, look: Callable[[Any], Any]) -> None:
        """Note what `look(agent)` gives."""
        super().__init__()
        self.look, self.seen = look, []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.seen.append(self.look(self.model))


def log_ratios(agent: Any) -> float:
    """Largest |log ratio| of the first minibatch, as SB3's `train` would see it."""
    agent.policy.set_training_mode(True)
    batch = next(agent.rollout_buffer.get(agent.batch_size))
    with th.no_grad():
        values, log_probs, _ = agent.policy.evaluate_actions(batch.observations, batch.actions)
    assert float((values - batch.old_values).abs().max()) < 1e-3
    return float((log_probs - batch.old_log_prob).abs().max())


def logged(agent: Any) -> dict[str, Any]:
    return dict(agent.logger.name_to_value)


def buffer_of(agent: Any) -> dict[str, np.ndarray]:
    names = ("actions", "rewards", "log_probs", "step_values", "advantages")
    return {name: getattr(agent.rollout_buffer, name).copy() for name in names}
