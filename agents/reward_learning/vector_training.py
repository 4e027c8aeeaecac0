"""Fits a reward for environments without text to labels of all kinds at once.

Shape letters: M members, N labels, B labels of a batch, J segments of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from textgym.agents.reward_learning.ensembles import EnsembleRule
from textgym.agents.reward_learning.labels import RewardLabels, label_shares
from textgym.agents.reward_learning.losses import (
    Calibration,
    LossWeights,
    comparison_losses,
    fraction_losses,
    weighted_total,
)
from textgym.agents.reward_learning.segment_steps import SegmentSteps, steps_of_items
from textgym.agents.reward_learning.term_reports import TermReport, term_report
from textgym.agents.reward_learning.vector_ensemble import VectorNetConfig, VectorRewardEnsemble
from textgym.agents.reward_learning.vector_network import StepShape, segment_sums
from textgym.agents.supervised.training_loop import LoopConfig, Progress, train
from textgym.feedback.responses import Segment

REDUCTIONS = ("sum", "mean")


@dataclass(frozen=True, kw_only=True)
class VectorRewardConfig(LossWeights, EnsembleRule, VectorNetConfig, LoopConfig):
    """Learning a reward from feedback on segments.

    Attributes:
        reduction: What of a segment the labels are about: the "sum" of its rewards, or their
            "mean", which is blind to how long an episode lasts.
        bootstrap: Let each member see the labels resampled, where there are several members.
        held_out_fraction: Share of the labels of each kind that is only measured on.
        epochs: Passes over the labels.
        batch_tokens: Steps per optimiser step, at least 1.
        learning_rate: Highest rate.
    """

    reduction: str = "sum"
    bootstrap: bool = True
    held_out_fraction: float = 0.1
    epochs: float = 60.0
    batch_tokens: int = 3200
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        """Reject settings without a meaning."""
        LoopConfig.__post_init__(self)
        LossWeights.__post_init__(self)
        EnsembleRule.__post_init__(self)
        VectorNetConfig.__post_init__(self)
        if self.reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {REDUCTIONS}, got {self.reduction!r}")
        if not 0 <= self.held_out_fraction < 1:
            raise ValueError(
                f"held_out_fraction must lie in [0, 1), got {self.held_out_fraction!r}"
            )

    @property
    def net(self) -> VectorNetConfig:
        """The network's part."""
        return VectorNetConfig(members=self.members, width=self.width, depth=self.depth)

    @property
    def ensemble_rule(self) -> EnsembleRule:
        """The ensemble's part."""
        return EnsembleRule(rule=self.rule, variance_weight=self.variance_weight)


@dataclass(frozen=True, kw_only=True)
class VectorRewardFit:
    """What came out.

    Attributes:
        ensemble: The reward.
        held_out: Kind to what was measured on labels held out; kinds without any are absent.
        counts: Kind to the number of labels trained on.
        progress: Steps, seconds and losses of the training.
    """

    ensemble: VectorRewardEnsemble
    held_out: dict[str, TermReport]
    counts: dict[str, int]
    progress: Progress


def fit_vector_reward(
    labels: RewardLabels,
    shape: StepShape,
    config: VectorRewardConfig,
    *,
    reference: Sequence[Segment],
    version: int = 1,
    progress: bool = False,
) -> VectorRewardFit:
    """Train an ensemble on the labels, normalise it, and measure each term on labels held out.

    Args:
        labels: Of segments, of any kinds.
        shape: Of the environment's steps.
        config: Network, losses and training.
        reference: Segments to normalise the members on, at least two.
        version: The new model's number.
        progress: Show a bar.

    Raises:
        ValueError: No labels (of a kind whose weight is above 0), or labels of a single class.
    """
    used = labels.only([kind for kind, weight in config.by_kind.items() if weight > 0])
    used.check_trainable()
    steps = steps_of_items(used.items, shape)
    generator = np.random.default_rng([config.seed, 1])
    learned, held_out = used.split(config.held_out_fraction, generator)
    learner = VectorRewardLearner(shape, config)
    learner.net.standardise_on(torch.from_numpy(steps.features))
    objective = VectorObjective(learner, learned, steps, config, generator)
    state = train(learner, objective, config, label="reward", progress=progress)
    ensemble = VectorRewardEnsemble(learner.net, shape, config.net, config.ensemble_rule, version)
    ensemble.normalise_on(reference)
    return VectorRewardFit(
        ensemble=ensemble,
        held_out=_reports(learner, ensemble, held_out, steps),
        counts=learned.counts,
        progress=state,
    )


class VectorRewardLearner(nn.Module):
    """The network with the calibrations that tie scores and words to it."""

    def __init__(self, shape: StepShape, config: VectorRewardConfig) -> None:
        """Draw the weights from `config.seed`."""
        super().__init__()
        self.net = config.net.build(shape, config.seed)
        self.calibrations = nn.ModuleDict(
            {kind: Calibration(config.members) for kind in ("score", "language")}
        )
        self.reduction = config.reduction

    def judge(self, steps: SegmentSteps, segments: np.ndarray) -> Tensor:
        """Return what each member makes of some segments, (M, J), by one forward."""
        features, lengths = steps.take(segments)
        sums = segment_sums(self.net(torch.from_numpy(features)), lengths)
        if self.reduction == "sum":
            return sums
        return sums / torch.from_numpy(lengths).to(sums.dtype)

    def losses(self, kind: str, rewards: Tensor, targets: np.ndarray) -> Tensor:
        """Loss of each label of one kind, (M, B).

        Args:
            kind: One of `losses.KINDS`.
            rewards: (M, B, 2) of chosen and rejected for comparisons, else (M, B, 1).
            targets: (B,).
        """
        target = torch.from_numpy(targets).to(rewards.dtype)
        if kind == "comparison":
            return comparison_losses(rewards[..., 0], rewards[..., 1], target)
        return fraction_losses(self.calibrations[kind](rewards[..., 0]), target)


class VectorObjective:
    """The three losses over labels of segments; see `training_loop.Objective`.

    An item is one label of any kind. A batch is one forward over the distinct segments that its
    labels are about. Each kind's loss is the mean over its own labels, however many the others
    have: a label of a kind counts λ · weight · N / (B · the kind's total weight).
    """

    def __init__(
        self,
        learner: VectorRewardLearner,
        labels: RewardLabels,
        steps: SegmentSteps,
        config: VectorRewardConfig,
        generator: np.random.Generator,
    ) -> None:
        """Take the labels and the steps of their items."""
        self.learner, self.steps = learner, steps
        self.kinds = dict(labels.kinds)
        sizes = [len(kind) for kind in self.kinds.values()]
        self.starts = dict(zip(self.kinds, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        self.costs = np.concatenate(
            [steps.lengths[kind.rows].sum(axis=1) for kind in self.kinds.values()]
        )
        members = config.members if config.bootstrap else 1
        self.factors = {
            kind: config.by_kind[kind] * sum(sizes) * label_shares(found, members, generator)
            for kind, found in self.kinds.items()
        }

    def loss(self, items: np.ndarray) -> Tensor:
        """Return the weighted loss of some labels, a scalar."""
        chosen = {kind: self._of_kind(kind, items) for kind in self.kinds}
        chosen = {kind: rows for kind, rows in chosen.items() if len(rows)}
        wanted = [self.kinds[kind].rows[rows].ravel() for kind, rows in chosen.items()]
        segments, places = np.unique(np.concatenate(wanted), return_inverse=True)
        rewards = self.learner.judge(self.steps, segments)
        losses, factors = {}, {}
        start = 0
        for kind, rows in chosen.items():
            found = self.kinds[kind].take(rows)
            here = places[start : start + found.rows.size].reshape(found.rows.shape)
            start += found.rows.size
            losses[kind] = self.learner.losses(kind, rewards[:, here], found.targets)
            factors[kind] = torch.from_numpy(self.factors[kind][:, rows] / len(items)).float()
        return weighted_total(losses, factors)

    def _of_kind(self, kind: str, items: np.ndarray) -> np.ndarray:
        rows = items - self.starts[kind]
        return rows[(rows >= 0) & (rows < len(self.kinds[kind]))]


def _reports(
    learner: VectorRewardLearner,
    ensemble: VectorRewardEnsemble,
    held_out: RewardLabels,
    steps: SegmentSteps,
) -> dict[str, TermReport]:
    if not held_out.kinds:
        return {}
    everything = np.arange(len(steps.lengths))
    with torch.no_grad():
        raw = learner.eval().judge(steps, everything)
        losses = {
            kind: learner.losses(kind, raw[:, labels.rows], labels.targets).mean(dim=0).numpy()
            for kind, labels in held_out.kinds.items()
        }
    scores = ensemble.rule.combine(ensemble.sums_of_members(steps))
    return {
        kind: term_report(kind, losses[kind], scores[labels.rows], labels)
        for kind, labels in held_out.kinds.items()
    }
