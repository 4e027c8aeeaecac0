"""A learned reward for environments without text: members normalised, combined, saved, loaded.

Shape letters: R rows (steps), O observation size, A action size, M members, S segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from textgym.agents.reward_learning.ensembles import (
    EnsembleRule,
    member_normalisation,
    member_scales,
)
from textgym.agents.reward_learning.segment_steps import SegmentSteps, steps_of_segments
from textgym.agents.reward_learning.vector_network import (
    StepShape,
    VectorRewardNet,
    segment_sums,
)
from textgym.agents.storage.checkpoint import load_json, load_tensors, save_json, save_tensors
from textgym.feedback.responses import Segment

_WEIGHTS, _NUMBERS = "reward.safetensors", "reward.json"


@dataclass(frozen=True, kw_only=True)
class VectorNetConfig:
    """The network of a reward for environments without text.

    Attributes:
        members: Members of the ensemble, at least 1.
        width: Units of a hidden layer, at least 1.
        depth: Hidden layers, at least 0.
    """

    members: int = 3
    width: int = 64
    depth: int = 2

    def __post_init__(self) -> None:
        """Reject sizes without a meaning."""
        for name, least in (("members", 1), ("width", 1), ("depth", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)!r}")

    def build(self, shape: StepShape, seed: int) -> VectorRewardNet:
        """Return a fresh network."""
        return VectorRewardNet(
            shape.observation_size + shape.action_size,
            members=self.members,
            width=self.width,
            depth=self.depth,
            generator=torch.Generator().manual_seed(seed),
        )


class VectorRewardEnsemble:
    """Predicts a reward for each step; see `textgym.wrappers.human_feedback.RewardPredictor`.

    Attributes:
        version: Counts up with each newly fitted model, from 1.
        gains: (M,) factor of each member, so that the rewards of reference steps are of size 1.
        biases: (M,) added to each member's reward of a step, after the gain.
    """

    def __init__(
        self,
        net: VectorRewardNet,
        shape: StepShape,
        net_config: VectorNetConfig,
        rule: EnsembleRule | None = None,
        version: int = 1,
    ) -> None:
        """Take a trained network; not normalised before `normalise_on`."""
        self.net, self.shape, self.net_config = net.eval(), shape, net_config
        self.rule, self.version = rule or EnsembleRule(), version
        self.gains = np.ones(net_config.members)
        self.biases = np.zeros(net_config.members)

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return the reward of each step, (R,) float64.

        Args:
            observations: (R, O), flattened.
            actions: (R,) integers, or (R, A) numbers of Box actions.
        """
        return self.rule.combine(self.predict_members(observations, actions))

    def predict_members(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return each normalised member's reward of each step, (M, R) float64."""
        raw = self._raw(self.shape.features(observations, actions))
        return self.gains[:, None] * raw + self.biases[:, None]

    def normalise_on(self, segments: Sequence[Segment]) -> None:
        """Scale each member so that its rewards of the reference segments' steps are of size 1.

        Where episodes can end early the zero of a reward means something: it is what the steps
        after the end are worth, and labels of segments that end early tell it. It is then left
        where it was learned, and the root of the mean square becomes 1. Where none of the segments
        ends, the labels leave the zero free: each member's mean becomes 0, its deviation 1.

        Args:
            segments: Of a policy that stays the same (the one before training).

        Raises:
            ValueError: A member that gives all steps the same, or 0 to all.
        """
        steps = steps_of_segments(segments, self.shape)
        raw = self._raw(steps.features)
        if steps.has_end:
            self.gains, self.biases = member_scales(raw), np.zeros(len(raw))
        else:
            self.gains, self.biases = member_normalisation(raw)

    def sums_of_members(self, steps: SegmentSteps) -> np.ndarray:
        """Return each normalised member's sum over each segment, (M, S)."""
        raw = self._raw(steps.features)
        return _sums(self.gains[:, None] * raw + self.biases[:, None], steps)

    def save(self, folder: Path) -> None:
        """Write two files into an existing folder."""
        save_tensors(folder / _WEIGHTS, self.net.state_dict())
        numbers = {
            "shape": self.shape.as_dict(),
            "net": asdict(self.net_config),
            "rule": asdict(self.rule),
            "version": self.version,
            "gains": self.gains.tolist(),
            "biases": self.biases.tolist(),
        }
        save_json(folder / _NUMBERS, numbers)

    @classmethod
    def load(cls, folder: Path) -> VectorRewardEnsemble:
        """Read what `save` wrote."""
        numbers = load_json(folder / _NUMBERS)
        shape, net_config = StepShape(**numbers["shape"]), VectorNetConfig(**numbers["net"])
        net = net_config.build(shape, seed=0)
        net.load_state_dict(load_tensors(folder / _WEIGHTS))
        made = cls(net, shape, net_config, EnsembleRule(**numbers["rule"]), numbers["version"])
        made.gains, made.biases = np.array(numbers["gains"]), np.array(numbers["biases"])
        return made

    def _raw(self, features: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.net(torch.from_numpy(features)).numpy().astype(np.float64)


def _sums(values: np.ndarray, steps: SegmentSteps) -> np.ndarray:
    return segment_sums(torch.from_numpy(values), steps.lengths).numpy()
