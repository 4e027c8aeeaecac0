"""A small network that rewards (observation, action) pairs: an ensemble in one stack of matrices.

Shape letters: R rows (steps), O observation size, A action size, F = O + A features, M members.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

_WIDEST = 10.0  # standard deviations; what lies further out is treated as being there


@dataclass(frozen=True, kw_only=True)
class StepShape:
    """What one step of an environment without text is made of.

    Attributes:
        observation_size: O, numbers of a flattened observation.
        action_size: A: the number of discrete actions, or the numbers of a flattened Box action.
        is_discrete: Whether actions are numbered; they are shown one-hot.
        first_action: Number of the first discrete action.
    """

    observation_size: int
    action_size: int
    is_discrete: bool
    first_action: int = 0

    @classmethod
    def of_spaces(cls, observation_space: spaces.Space, action_space: spaces.Space) -> StepShape:
        """Return the shape of an environment's steps.

        Raises:
            ValueError: A space that cannot be flattened to a fixed number of numbers.
        """
        for space in (observation_space, action_space):
            if not space.is_np_flattenable:
                raise ValueError(f"expected a space that flattens to an array, got {space}")
        is_discrete = isinstance(action_space, spaces.Discrete)
        return cls(
            observation_size=spaces.flatdim(observation_space),
            action_size=spaces.flatdim(action_space),
            is_discrete=is_discrete,
            first_action=int(action_space.start)
            if isinstance(action_space, spaces.Discrete)
            else 0,
        )

    def features(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Put observations and actions side by side.

        Args:
            observations: (R, O).
            actions: (R,) integers, or (R, A).

        Returns:
            (R, F) float32.

        Raises:
            ValueError: Other shapes, or an action that does not exist.
        """
        rows = len(observations)
        if observations.shape != (rows, self.observation_size):
            raise ValueError(
                f"observations must be (rows, {self.observation_size}), got {observations.shape}"
            )
        expected = (rows,) if self.is_discrete else (rows, self.action_size)
        if np.shape(actions) != expected:
            raise ValueError(f"actions must be of shape {expected}, got {np.shape(actions)}")
        features = np.zeros((rows, self.observation_size + self.action_size), dtype=np.float32)
        features[:, : self.observation_size] = observations
        if not self.is_discrete:
            features[:, self.observation_size :] = actions
            return features
        numbers = np.asarray(actions, dtype=np.int64) - self.first_action
        for number in numbers[(numbers < 0) | (numbers >= self.action_size)]:
            raise ValueError(
                f"an action must lie in {self.first_action}.."
                f"{self.first_action + self.action_size - 1}, got {number + self.first_action}"
            )
        features[np.arange(rows), self.observation_size + numbers] = 1.0
        return features

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return asdict(self)


class VectorRewardNet(nn.Module):
    """M members, each a multilayer perceptron r(s, a), computed together.

    Attributes:
        centre: (F,) subtracted from the features.
        spread: (F,) what they are then divided by.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self, num_features: int, *, members: int, width: int, depth: int, generator: torch.Generator
    ) -> None:
        """Draw the weights; each member's are its own."""
        super().__init__()
        sizes = [num_features, *[width] * depth, 1]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for inputs, outputs in zip(sizes, sizes[1:], strict=False):
            bound = inputs**-0.5
            weight = torch.rand((members, inputs, outputs), generator=generator)
            self.weights.append(nn.Parameter((2 * weight - 1) * bound))
            self.biases.append(nn.Parameter(torch.zeros((members, 1, outputs))))
        self.register_buffer("centre", torch.zeros(num_features))
        self.register_buffer("spread", torch.ones(num_features))

    def standardise_on(self, features: Tensor) -> None:
        """Make features of mean 0 and standard deviation 1 of those that look like `features`."""
        spread = features.std(dim=0, unbiased=False)
        self.centre.copy_(features.mean(dim=0))
        self.spread.copy_(torch.where(spread < 1e-3, torch.ones_like(spread), spread))

    def forward(self, features: Tensor) -> Tensor:
        """Return the raw reward of each step by each member, (M, R), from (R, F)."""
        x = ((features - self.centre) / self.spread).clamp(-_WIDEST, _WIDEST)
        hidden = x.expand(self.weights[0].shape[0], *x.shape)
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if index < last:
                hidden = torch.tanh(hidden)
        return hidden.squeeze(-1)


def segment_sums(values: Tensor, lengths: np.ndarray) -> Tensor:
    """Sum (M, T) values of steps over consecutive segments of `lengths` (S,) steps: (M, S)."""
    owner = torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths)).to(values.device)
    sums = values.new_zeros((values.shape[0], len(lengths)))
    return sums.index_add_(1, owner, values)
