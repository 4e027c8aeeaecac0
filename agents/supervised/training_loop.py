"""The one offline training loop: supervised fine-tuning and reward models both run through it.

Batches are cut by a budget of padded tokens out of length-sorted pools, so that little padding is
computed; the order is a pure function of (seed, epoch), so a run can go on from a folder at the
very batch where it stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from textgym.agents.storage.checkpoint import (
    CheckpointError,
    is_saved_folder,
    load_json,
    load_tensors,
    open_folder,
    save_folder,
    save_json,
    save_tensors,
)
from textgym.agents.supervised.optimizers import OptimizerConfig, Optimizers
from textgym.agents.supervised.token_batches import token_batches


@dataclass(frozen=True, kw_only=True)
class LoopConfig(OptimizerConfig):
    """How long and how to train; see `OptimizerConfig` for the optimiser.

    Attributes:
        epochs: Passes over the data, above 0; may be a fraction.
        max_steps: Stop after so many optimiser steps (None: no such limit).
        max_seconds: Stop after so many seconds of training, over all resumed parts together
            (None: no such limit). A run with this limit is not reproducible.
        batch_tokens: Padded tokens per optimiser step, at least 1; a longer item goes alone.
        min_learning_rate_fraction: Where the cosine ends, as a fraction of `learning_rate`.
        warmup_fraction: Share of the run in which the rate rises linearly from 0.
        max_grad_norm: Gradients are scaled down to this norm.
        eval_every: Steps between two held-out evaluations (0: only at the end).
        save_seconds: Seconds between two saves of the training state.
        precision: "float32", or "bfloat16" for autocast (weights and loss stay float32).
        device: "auto", or a torch device.
        seed: Seed of the batch order and of fresh weights, at least 0.
    """

    epochs: float = 1.0
    max_steps: int | None = None
    max_seconds: float | None = None
    batch_tokens: int = 8192
    min_learning_rate_fraction: float = 0.05
    warmup_fraction: float = 0.05
    max_grad_norm: float = 1.0
    eval_every: int = 0
    save_seconds: float = 120.0
    precision: str = "float32"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Reject numbers that no run could follow."""
        for name in ("epochs", "batch_tokens", "learning_rate", "max_grad_norm", "save_seconds"):
            _require(getattr(self, name) > 0, name, "a number above 0", getattr(self, name))
        for name in ("max_steps", "max_seconds"):
            value = getattr(self, name)
            _require(value is None or value > 0, name, "None or a number above 0", value)
        for name in ("min_learning_rate_fraction", "warmup_fraction"):
            value = getattr(self, name)
            _require(0 <= value <= 1, name, "a fraction in [0, 1]", value)
        for name in ("weight_decay", "eval_every", "seed"):
            _require(getattr(self, name) >= 0, name, "a number of at least 0", getattr(self, name))
        _require(0 < self.adam_beta2 < 1, "adam_beta2", "a number in (0, 1)", self.adam_beta2)
        self.check_optimizer()
        kinds = ("float32", "bfloat16")
        _require(self.precision in kinds, "precision", f"one of {kinds}", self.precision)


class Objective(Protocol):
    """What is trained: items with a cost in tokens, and the loss of some of them.

    Attributes:
        costs: (M,) int64, padded tokens that each item would take alone.
    """

    costs: np.ndarray

    def loss(self, items: np.ndarray) -> torch.Tensor:
        """Return the mean loss over the items, a float32 scalar with a graph."""
        ...


@dataclass
class Progress:
    """Where a run stands; saved with it.

    Attributes:
        step: Optimiser steps done.
        epoch: Passes over the data begun before, from 0.
        row: Batches of this pass that were learned.
        seconds: Seconds of training done, evaluation included.
        history: One row per evaluation: step, seconds, loss since the last row, held-out numbers.
    """

    step: int = 0
    epoch: int = 0
    row: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def train(
    model: torch.nn.Module,
    objective: Objective,
    config: LoopConfig,
    *,
    folder: Path | None = None,
    evaluate: Callable[[], dict[str, float]] | None = None,
    label: str = "training",
    progress: bool = False,
) -> Progress:
    """Train `model` in place until the first limit is reached.

    Args:
        model: Its parameters that require gradients are trained.
        objective: The items and their loss; the loss must go through `model`.
        config: Limits and optimiser.
        folder: Where the training state is kept; a run found there is continued.
        evaluate: Returns held-out numbers; called with the model in eval mode, without gradients.
        label: Shown in front of the progress bar.
        progress: Show the bar with the time left.

    Raises:
        ValueError: No items, or the loss became NaN or infinite (the step is named).
        CheckpointError: The folder holds a run with other settings or other data.
    """
    if objective.costs.size == 0:
        raise ValueError("expected at least one training item, got 0")
    return _Run(model, objective, config, folder, evaluate).go(label, progress)


class _Run:
    """One training run: the model, its optimiser and its place in the data."""

    def __init__(
        self,
        model: torch.nn.Module,
        objective: Objective,
        config: LoopConfig,
        folder: Path | None,
        evaluate: Callable[[], dict[str, float]] | None,
    ) -> None:
        self.model, self.objective, self.config = model, objective, config
        self.folder, self.evaluate = folder, evaluate
        self.named = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.device = next(model.parameters()).device
        self.optimizers = Optimizers(self.named, config, self.device)
        self.per_epoch = len(self._epoch(0))
        self.total = max(1, math.ceil(config.epochs * self.per_epoch))
        self.total = min(self.total, config.max_steps or self.total)
        self.state = Progress()
        self.losses: list[float] = []
        if folder is not None and is_saved_folder(folder):
            self._load(folder)

    def go(self, label: str, progress: bool) -> Progress:
        self._start_clock()
        saved_at = self.state.seconds
        done = self.state.step
        bar = tqdm(
            total=self.total, initial=done, desc=label, disable=not progress, mininterval=1.0
        )
        with bar:
            for batch in self._batches():
                self._step(batch)
                bar.set_postfix_str(f"loss {np.mean(self.losses[-50:]):.4f}", refresh=False)
                bar.update()
                self._evaluate_if_due(final=False)
                if self.state.seconds - saved_at >= self.config.save_seconds:
                    self._save()
                    saved_at = self.state.seconds
        self._evaluate_if_due(final=True)
        self._save()
        return self.state

    def _start_clock(self) -> None:
        self.started = time.monotonic() - self.state.seconds

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng([self.config.seed, epoch])
        return token_batches(self.objective.costs, self.config.batch_tokens, rng)

    def _batches(self) -> Iterator[np.ndarray]:
        """Yield what is left of the run, from the batch after the last one that was learned."""
        while not self._done():
            for batch in self._epoch(self.state.epoch)[self.state.row :]:
                self.state.row += 1
                yield batch
                if self._done():
                    return
            self.state.epoch, self.state.row = self.state.epoch + 1, 0

    def _done(self) -> bool:
        return self._share_done() >= 1

    def _share_done(self) -> float:
        by_steps = self.state.step / self.total
        limit = self.config.max_seconds
        return max(by_steps, self.state.seconds / limit if limit else 0.0)

    def _step(self, batch: np.ndarray) -> None:
        rate = self.config.learning_rate * self._rate(self._share_done())
        self.model.train()
        wide = self.config.precision == "float32"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=not wide):
            loss = self.objective.loss(batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(f"loss at step {self.state.step} must be finite, got {value!r}")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.named.values(), self.config.max_grad_norm)
        self.optimizers.step(rate)
        self.losses.append(value)
        self.state.step += 1
        self.state.seconds = time.monotonic() - self.started

    def _rate(self, share: float) -> float:
        """Linear warm-up, then a cosine; `share` of the run is done. Never 0 at the first step."""
        warm, floor = self.config.warmup_fraction, self.config.min_learning_rate_fraction
        if share < warm:
            return max(share / warm, min(1.0, 1 / max(1.0, warm * self.total)))
        swing = math.cos(math.pi * min(1.0, (share - warm) / max(1e-9, 1 - warm)))
        return floor + (1 - floor) * (1 + swing) / 2

    def _evaluate_if_due(self, final: bool) -> None:
        every = self.config.eval_every
        if not (final or (every and self.state.step % every == 0)):
            return
        if self.state.history and self.state.history[-1]["step"] == self.state.step:
            return
        self.model.eval()
        with torch.no_grad():
            numbers = self.evaluate() if self.evaluate else {}
        row: dict[str, float] = {"step": self.state.step, "seconds": self.state.seconds}
        if self.losses:
            row["train_loss"] = float(np.mean(self.losses[-max(1, every or 50) :]))
        self.state.history.append({**row, **numbers})

    def _save(self) -> None:
        if self.folder is not None:
            save_folder(self.folder, self._write)

    def _write(self, folder: Path) -> None:
        save_tensors(folder / "model.safetensors", dict(self.named))
        save_tensors(folder / "optimizer.safetensors", self.optimizers.state())
        state = {**asdict(self.state), "losses": self.losses[-50:], "run": self._identity()}
        save_json(folder / "state.json", state)

    def _identity(self) -> dict[str, Any]:
        """Return what must be equal for a run to be continued; limits and pace may change."""
        free = {"epochs", "max_steps", "max_seconds", "eval_every", "save_seconds", "device"}
        settings = {k: v for k, v in asdict(self.config).items() if k not in free}
        costs = self.objective.costs
        return {**settings, "items": int(costs.size), "tokens": int(costs.sum())}

    def _load(self, folder: Path) -> None:
        open_folder(folder)
        state = load_json(folder / "state.json")
        theirs, ours = state.pop("run"), self._identity()
        changed = [f"{k}: {theirs[k]!r} → {v!r}" for k, v in ours.items() if theirs.get(k, v) != v]
        if changed:
            raise CheckpointError(
                f"{str(folder)!r} holds a run with other settings ({'; '.join(changed)}); "
                "expected the same ones, or an empty folder"
            )
        _copy_into(self.named, load_tensors(folder / "model.safetensors"))
        self.optimizers.restore(load_tensors(folder / "optimizer.safetensors"))
        self.losses = list(state.pop("losses"))
        self.state = Progress(**state)


def _require(holds: bool, name: str, expected: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def _copy_into(named: dict[str, torch.nn.Parameter], tensors: dict[str, torch.Tensor]) -> None:
    if set(named) != set(tensors):
        odd = sorted(set(named) ^ set(tensors))[:3]
        raise CheckpointError(f"the saved weights are of another model; names differ: {odd}")
    with torch.no_grad():
        for name, parameter in named.items():
            if parameter.shape != tensors[name].shape:
                raise CheckpointError(
                    f"saved {name!r} has shape {tuple(tensors[name].shape)}, "
                    f"expected {tuple(parameter.shape)}"
                )
            parameter.copy_(tensors[name])
