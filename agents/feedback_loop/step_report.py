"""Tells a progress bar how many steps an algorithm has done."""

from __future__ import annotations

from collections.abc import Callable

from stable_baselines3.common.callbacks import BaseCallback


class StepReport(BaseCallback):
    """Calls a function with the steps of all rows after each step."""

    def __init__(self, report: Callable[[int], None]) -> None:
        """Call `report` with the number of steps done since the last call."""
        super().__init__()
        self._report = report

    def _on_step(self) -> bool:
        self._report(self.training_env.num_envs)
        return True
