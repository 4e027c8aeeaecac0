"""The three losses over labels of text, each prompt encoded once for all that was said of it.

Shape letters: R labels of a kind, G groups, B groups of a batch, I items.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from textgym.agents.reward_learning.labels import RewardLabels
from textgym.agents.reward_learning.losses import (
    Calibration,
    comparison_losses,
    fraction_losses,
    weighted_total,
)
from textgym.agents.reward_learning.text_items import TokenIds
from textgym.agents.supervised.grouped_scores import GroupedScores

Encoded = Sequence[tuple[TokenIds, TokenIds]]
_LABELS_PER_GROUP = 8  # labels about one prompt that share a batch item


class TextRewardLearner(nn.Module):
    """A one-label classifier with the calibrations that tie numbers in [0, 1] to its reward."""

    def __init__(self, model: Any, labels: RewardLabels) -> None:
        """Calibrate the kinds that are there; each starts at its mean number."""
        super().__init__()
        self.model = model
        self.calibrations = nn.ModuleDict()
        for kind, found in labels.kinds.items():
            if kind == "comparison":
                continue
            mean = float(np.clip(found.targets.mean(), 0.01, 0.99))
            made = Calibration()
            nn.init.constant_(made.b, np.log(mean / (1 - mean)))
            self.calibrations[kind] = made
        self.calibrations.to(next(model.parameters()).device)

    def losses(self, kind: str, rewards: Tensor, targets: np.ndarray) -> Tensor:
        """Loss of each label of one kind, (R,) nats.

        Args:
            kind: One of `losses.KINDS`.
            rewards: (R, 2) of chosen and rejected for comparisons, else (R, 1); raw.
            targets: (R,) in [0, 1].
        """
        target = torch.from_numpy(targets).to(rewards)
        if kind == "comparison":
            return comparison_losses(rewards[:, 0], rewards[:, 1], target)
        return fraction_losses(self.calibrations[kind](rewards[:, 0]), target)


class TextObjective:
    """The weighted sum of the three losses; see `training_loop.Objective`.

    An item is a group of labels of any kinds about one prompt. Each kind's loss is the mean over
    its own labels, however many the others have: in a batch a label counts λ · its share · G / B.
    """

    def __init__(
        self,
        learner: TextRewardLearner,
        labels: RewardLabels,
        encoded: Encoded,
        factors: Mapping[str, np.ndarray],
    ) -> None:
        """Take the labels and what they are about.

        Args:
            learner: What is trained.
            labels: Of any kinds.
            encoded: Prompt and response of each of the labels' I items.
            factors: Kind to (R,), λ times the share of each label in its kind's loss; a label with
                0 is left out.
        """
        self._learner, self._labels, self._factors = learner, labels, factors
        self._encoded = encoded
        self._groups = self._grouped()
        sequences = [self._distinct(group) for group in self._groups]
        self._scores_of = GroupedScores(learner.model, sequences)
        self.costs = self._scores_of.costs

    def loss(self, items: np.ndarray) -> Tensor:
        """Return the weighted loss of some groups, a scalar."""
        scores = self._scores_of(items)
        rows: dict[str, list[int]] = defaultdict(list)
        places: dict[str, list[list[int]]] = defaultdict(list)
        first = 0
        for item in items:
            number = {ids: first + i for i, ids in enumerate(self._scores_of.groups[item])}
            first += len(number)
            for kind, row in self._groups[item]:
                rows[kind].append(row)
                places[kind].append([number[ids] for ids in self._of_label(kind, row)])
        losses, factors = {}, {}
        for kind, chosen in rows.items():
            rewards = scores[torch.tensor(places[kind], device=scores.device)]
            targets = self._labels.kinds[kind].targets[chosen]
            losses[kind] = self._learner.losses(kind, rewards, targets)
            share = self._factors[kind][chosen] * (len(self.costs) / len(items))
            factors[kind] = torch.from_numpy(share).to(rewards)
        return weighted_total(losses, factors)

    def _grouped(self) -> list[list[tuple[str, int]]]:
        by_prompt: dict[TokenIds, list[tuple[str, int]]] = defaultdict(list)
        for kind, found in self._labels.kinds.items():
            for row in np.flatnonzero(self._factors[kind] > 0).tolist():
                prompt, _ = self._encoded[found.rows[row, 0]]
                by_prompt[prompt].append((kind, row))
        return [
            said[start : start + _LABELS_PER_GROUP]
            for said in by_prompt.values()
            for start in range(0, len(said), _LABELS_PER_GROUP)
        ]

    def _distinct(self, group: Sequence[tuple[str, int]]) -> list[TokenIds]:
        return list(dict.fromkeys(ids for label in group for ids in self._of_label(*label)))

    def _of_label(self, kind: str, row: int) -> list[TokenIds]:
        """What one label is about, as whole sequences."""
        pairs = (self._encoded[item] for item in self._labels.kinds[kind].rows[row])
        return [prompt + response for prompt, response in pairs]
