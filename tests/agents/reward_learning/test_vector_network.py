"""Features by hand, members apart from each other, sums over segments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from textgym.agents.reward_learning.vector_network import StepShape, VectorRewardNet, segment_sums


def test_discrete_actions_are_one_hot_whatever_their_first_number() -> None:
    shape = StepShape.of_spaces(spaces.Box(-1, 1, (2,)), spaces.Discrete(3, start=5))
    found = shape.features(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5, 7]))
    assert found.tolist() == [[1, 2, 1, 0, 0], [3, 4, 0, 0, 1]]
    for action in (4, 8):
        with pytest.raises(ValueError, match=f"must lie in 5..7, got {action}"):
            shape.features(np.zeros((1, 2)), np.array([action]))


def test_box_actions_stand_beside_the_observation() -> None:
    shape = StepShape.of_spaces(spaces.Box(-1, 1, (1,)), spaces.Box(-1, 1, (2,)))
    found = shape.features(np.array([[1.0]]), np.array([[0.5, -0.5]]))
    assert found.tolist() == [[1.0, 0.5, -0.5]]
    with pytest.raises(ValueError, match=r"shape \(1, 2\), got \(1,\)"):
        shape.features(np.array([[1.0]]), np.array([0]))
    with pytest.raises(ValueError, match=r"\(rows, 1\), got \(1, 3\)"):
        shape.features(np.zeros((1, 3)), np.zeros((1, 2)))


def test_spaces_that_do_not_flatten_are_refused() -> None:
    with pytest.raises(ValueError, match="flattens to an array, got Sequence"):
        StepShape.of_spaces(spaces.Sequence(spaces.Discrete(2)), spaces.Discrete(2))


def net(members: int = 3, depth: int = 2) -> VectorRewardNet:
    generator = torch.Generator().manual_seed(0)
    return VectorRewardNet(4, members=members, width=5, depth=depth, generator=generator)


def test_each_member_is_a_perceptron_of_its_own() -> None:
    stack, features = net(), torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = stack(features)
        for member in range(3):
            x = features
            for layer, (weight, bias) in enumerate(zip(stack.weights, stack.biases, strict=True)):
                x = x @ weight[member] + bias[member]
                x = torch.tanh(x) if layer < 2 else x
            assert torch.allclose(found[member], x[:, 0], atol=1e-6)
    assert not torch.allclose(found[0], found[1])


def test_features_are_standardised_and_constant_ones_left_alone() -> None:
    stack = net(depth=0)
    features = torch.tensor([[0.0, 100.0, 5.0, 1.0], [2.0, 300.0, 5.0, 0.0]])
    stack.standardise_on(features)
    assert stack.centre.tolist() == [1.0, 200.0, 5.0, 0.5]
    assert stack.spread.tolist() == [1.0, 100.0, 1.0, 0.5]


def test_sums_over_segments() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 0.0]])
    assert segment_sums(values, np.array([1, 3])).tolist() == [[1.0, 9.0], [0.0, 1.0]]
