"""The predictor: normalised on reference segments, combined, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from textgym.agents.reward_learning.ensembles import EnsembleRule
from textgym.agents.reward_learning.segment_steps import steps_of_segments
from textgym.agents.reward_learning.vector_ensemble import VectorNetConfig, VectorRewardEnsemble
from textgym.agents.reward_learning.vector_network import StepShape
from textgym.wrappers.human_feedback import MemberPredictor

SHAPE = StepShape(observation_size=1, action_size=2, is_discrete=True)


def linear(rule: str = "mean") -> VectorRewardEnsemble:
    """Two members: r = s, and r = 4 s + 2 for the second action."""
    config = VectorNetConfig(members=2, depth=0)
    net = config.build(SHAPE, seed=0)
    with torch.no_grad():
        net.weights[0].copy_(torch.tensor([[[1.0], [0.0], [0.0]], [[4.0], [0.0], [2.0]]]))
    return VectorRewardEnsemble(net, SHAPE, config, EnsembleRule(rule=rule))


def test_predictions_by_hand() -> None:
    states, actions = np.array([[1.0], [-1.0]], dtype=np.float32), np.array([0, 1])
    assert linear().predict_members(states, actions).tolist() == [[1.0, -1.0], [4.0, -2.0]]
    assert linear().predict(states, actions).tolist() == [2.5, -1.5]
    assert linear("minimum").predict(states, actions).tolist() == [1.0, -2.0]
    assert isinstance(linear(), MemberPredictor)


def test_without_ends_members_get_mean_0_and_deviation_1(segment_response) -> None:
    segments = [segment_response([1, 2]).segment, segment_response([6]).segment]
    ensemble = linear()
    ensemble.normalise_on(segments)
    steps = steps_of_segments(segments, SHAPE)
    members = ensemble.predict_members(steps.features[:, :1], np.zeros(3, dtype=np.int64))
    assert members[0] == pytest.approx(members[1])
    assert members.mean(axis=1) == pytest.approx(0) and members.std(axis=1) == pytest.approx(1)


def test_with_ends_the_zero_stays_where_it_is(segment_response) -> None:
    segments = [segment_response([1, 2], terminated=True).segment, segment_response([2]).segment]
    ensemble = linear()
    ensemble.normalise_on(segments)
    members = ensemble.predict_members(np.array([[0.0], [3.0]]), np.array([0, 0]))
    # Root mean square of 1, 2, 2 is sqrt(3); of 4, 8, 8 it is 4 sqrt(3).
    assert members[:, 0].tolist() == [0.0, 0.0]
    assert members[:, 1] == pytest.approx(3 / np.sqrt(3))
    steps = steps_of_segments(segments, SHAPE)
    assert ensemble.sums_of_members(steps)[0] == pytest.approx(np.array([3, 2]) / np.sqrt(3))


def test_saved_and_loaded(tmp_path: Path, segment_response) -> None:
    ensemble = linear("minimum")
    ensemble.version = 7
    ensemble.normalise_on([segment_response([1, 2, 5]).segment])
    ensemble.save(tmp_path)
    again = VectorRewardEnsemble.load(tmp_path)
    states, actions = np.array([[0.3], [2.0]]), np.array([1, 0])
    assert np.array_equal(again.predict(states, actions), ensemble.predict(states, actions))
    assert (again.version, again.rule.rule) == (7, "minimum")
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".json", ".safetensors"]


@pytest.mark.parametrize("name", ["members", "width"])
def test_bad_sizes_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        VectorNetConfig(**{name: 0})
