"""Measures gradient norms before clipping, inside any training loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch as th


class GradientNorms:
    """Notes the global gradient norm of each optimiser step, through hooks.

    `clip_grad_norm_` keeps its finding to itself inside SB3's `train()`. Each parameter's norm is
    taken when the backward pass has filled its gradient, hence before clipping.
    """

    def __init__(
        self, parameters: Iterable[th.nn.Parameter], optimizer: th.optim.Optimizer
    ) -> None:
        """Attach the hooks."""
        self._squares: dict[int, th.Tensor] = {}
        self._norms: list[th.Tensor] = []
        for parameter in parameters:
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._note)
        optimizer.register_step_pre_hook(self._close)

    def _note(self, parameter: th.Tensor) -> None:
        if parameter.grad is not None:
            self._squares[id(parameter)] = parameter.grad.detach().float().square().sum()

    def _close(self, optimizer: th.optim.Optimizer, args: Any, kwargs: Any) -> None:
        del optimizer, args, kwargs
        if self._squares:
            self._norms.append(th.stack(list(self._squares.values())).sum().sqrt())
            self._squares.clear()

    def take_mean(self) -> float | None:
        """Mean over the steps since the last call, None without any."""
        if not self._norms:
            return None
        mean = float(th.stack(self._norms).mean())
        self._norms.clear()
        return mean
