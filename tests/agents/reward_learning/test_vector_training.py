"""What is learned from each kind alone and from all, and what the loss adds up to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from textgym.agents.reward_learning.labels import RewardLabels, labels_from_records
from textgym.agents.reward_learning.losses import comparison_losses, fraction_losses
from textgym.agents.reward_learning.segment_steps import steps_of_items
from textgym.agents.reward_learning.vector_network import StepShape
from textgym.agents.reward_learning.vector_training import (
    VectorObjective,
    VectorRewardConfig,
    VectorRewardLearner,
    fit_vector_reward,
)
from textgym.feedback.records import Comparison, LanguageFeedback, Score

SHAPE = StepShape(observation_size=1, action_size=2, is_discrete=True)
GRID = np.linspace(-1, 1, 21)[:, None]


def truth(states: np.ndarray) -> np.ndarray:
    return states[..., 0] ** 2  # no linear reward


@pytest.fixture
def toy(segment_response, annotator) -> Any:
    """Return `make(kinds, count)`: labels of random segments of 4 steps by the true return."""

    def make(kinds: tuple[str, ...], count: int = 150) -> RewardLabels:
        draw = np.random.default_rng(0)
        records: list[Any] = []
        for _ in range(count):
            states = draw.uniform(-1, 1, size=(2, 4))
            first, second = (segment_response(row, draw.integers(2, size=4)) for row in states)
            gold = truth(states[..., None]).sum(axis=1)
            value = float(1 / (1 + np.exp(2 - 2 * gold[0])))
            better, worse = (first, second) if gold[0] > gold[1] else (second, first)
            if "comparison" in kinds:
                records.append(Comparison(annotator=annotator, chosen=better, rejected=worse))
            if "score" in kinds:
                records.append(Score(annotator=annotator, response=first, value=value))
            if "language" in kinds:
                words = LanguageFeedback(annotator=annotator, response=first, words=f"{value}")
                records.append(words)
        return labels_from_records(
            records, critic=lambda found: np.array([float(record.words) for record in found])
        )

    return make


def config(**changes: Any) -> VectorRewardConfig:
    settings = {"members": 2, "width": 16, "epochs": 150, "batch_tokens": 128, "device": "cpu"}
    return VectorRewardConfig(**{**settings, "learning_rate": 1e-2, **changes})


def reference(labels: RewardLabels) -> list[Any]:
    return [item.response.segment for item in labels.items[:30]]


@pytest.mark.parametrize(
    "kinds",
    [("comparison",), ("score",), ("language",), ("score", "comparison", "language")],
    ids="-".join,
)
def test_each_kind_alone_and_all_together_find_the_truth(toy, kinds) -> None:
    labels = toy(kinds)
    fit = fit_vector_reward(labels, SHAPE, config(), reference=reference(labels), version=3)
    found = fit.ensemble.predict(GRID, np.zeros(len(GRID), dtype=np.int64))
    assert np.corrcoef(found, truth(GRID))[0, 1] > 0.95
    assert fit.ensemble.version == 3
    # Each term apart, on the tenth held out.
    assert set(fit.held_out) == set(kinds) == set(fit.counts)
    for kind, report in fit.held_out.items():
        assert report.count == 15 and fit.counts[kind] == 135
        assert report.loss.mean < report.knows_nothing
    if "comparison" in kinds:
        assert fit.held_out["comparison"].accuracy.mean > 0.8
    if "score" in kinds:
        assert fit.held_out["score"].correlation > 0.9


def objective(labels: RewardLabels, **changes: Any) -> VectorObjective:
    settings = config(bootstrap=False, **changes)
    learner = VectorRewardLearner(SHAPE, settings)
    steps = steps_of_items(labels.items, SHAPE)
    return VectorObjective(learner, labels, steps, settings, np.random.default_rng(0))


def test_the_loss_is_the_weighted_sum_of_the_kinds_means(segment_response, annotator) -> None:
    """However many labels the other kinds have; a strength is a weight; a tie is a half."""
    a, b, c = (segment_response([value, value]) for value in (-1.0, 0.2, 0.9))
    records = [
        Comparison(annotator=annotator, chosen=a, rejected=b, strength=0.25),
        Comparison(annotator=annotator, chosen=c, rejected=b, is_tie=True),
        Score(annotator=annotator, response=a, value=0.2),
        Score(annotator=annotator, response=b, value=0.5),
        Score(annotator=annotator, response=c, value=0.7),
    ]
    labels = labels_from_records(records)
    goal = objective(labels, score_weight=2.0, comparison_weight=3.0)
    found = goal.loss(np.arange(5))
    learner = goal.learner
    items = [item.response for item in labels.items]
    rewards = learner.judge(goal.steps, np.arange(3))
    ra, rb, rc = (rewards[:, items.index(r)] for r in (a, b, c))
    one, half = torch.tensor(1.0), torch.tensor(0.5)
    comparisons = (0.25 * comparison_losses(ra, rb, one) + comparison_losses(rc, rb, half)) / 1.25
    values = torch.tensor([0.2, 0.5, 0.7])
    logits = learner.calibrations["score"](torch.stack([ra, rb, rc], dim=1))
    scores = fraction_losses(logits, values).mean(dim=1)
    assert found.item() == pytest.approx((2 * scores + 3 * comparisons).mean().item(), rel=1e-5)


def test_batches_of_an_epoch_average_to_the_whole_loss(toy) -> None:
    labels = toy(("comparison", "score"), 12)
    goal = objective(labels.only(["comparison", "score"]))
    whole = goal.loss(np.arange(24)).item()
    order = np.random.default_rng(1).permutation(24)
    parts = [goal.loss(part).item() for part in np.split(order, 4)]
    assert np.mean(parts) == pytest.approx(whole, rel=1e-5)


def test_absent_kinds_cost_nothing(toy, monkeypatch) -> None:
    labels = toy(("comparison", "score", "language"), 10)
    seen: list[int] = []
    judge = VectorRewardLearner.judge

    def counting(self: Any, steps: Any, segments: np.ndarray) -> torch.Tensor:
        seen.append(len(segments))
        return judge(self, steps, segments)

    monkeypatch.setattr(VectorRewardLearner, "judge", counting)
    goal = objective(labels.only(["score"]))
    goal.loss(np.arange(10)).backward()
    assert seen == [10]  # one forward, over the scored segments alone
    assert all(p.grad is None for p in goal.learner.calibrations["language"].parameters())
    # A weight of 0 leaves a kind's labels out altogether.
    seen.clear()
    fit = fit_vector_reward(
        labels,
        SHAPE,
        config(score_weight=0, language_weight=0, epochs=1, held_out_fraction=0.0),
        reference=reference(labels),
    )
    assert set(fit.counts) == {"comparison"} and max(seen) == 20


def test_members_are_resampled(toy) -> None:
    labels = toy(("comparison",), 30)
    plain, resampled = objective(labels), None
    settings = config()
    learner = VectorRewardLearner(SHAPE, settings)
    steps = steps_of_items(labels.items, SHAPE)
    resampled = VectorObjective(learner, labels, steps, settings, np.random.default_rng(0))
    assert plain.factors["comparison"].tolist() == [[1.0] * 30]
    factors = resampled.factors["comparison"]
    assert factors.shape == (2, 30) and (factors[0] != factors[1]).any()
    assert factors.mean(axis=1) == pytest.approx(1.0)


def test_the_mean_is_blind_to_how_long_a_segment_is(segment_response, annotator) -> None:
    """What survival is worth can only be learned from sums: in CartPole it is all there is."""
    draw = np.random.default_rng(0)
    records = []
    for _ in range(40):
        short, long = sorted(draw.choice(np.arange(1, 20), size=2, replace=False))
        worse = segment_response(draw.uniform(-1, 1, short), terminated=True)
        better = segment_response(draw.uniform(-1, 1, long), terminated=True)
        records.append(Comparison(annotator=annotator, chosen=better, rejected=worse))
    labels = labels_from_records(records)
    by_sum = fit_vector_reward(labels, SHAPE, config(), reference=reference(labels))
    zeros = np.zeros(len(GRID), dtype=np.int64)
    assert (by_sum.ensemble.predict(GRID, zeros) > 0).all()
    assert by_sum.held_out["comparison"].accuracy.mean == 1.0
    by_mean = VectorRewardLearner(SHAPE, config(reduction="mean"))
    steps = steps_of_items(labels.items, SHAPE)
    with torch.no_grad():
        for bias in by_mean.net.biases[-1:]:
            before = by_mean.judge(steps, np.arange(6))
            bias += 1.0
            after = by_mean.judge(steps, np.arange(6))
    assert torch.allclose(after - before, torch.ones(2, 6), atol=1e-5)  # the same for any length


def test_the_same_seed_gives_the_same_reward(toy) -> None:
    labels = toy(("comparison",), 20)
    one, other = (
        fit_vector_reward(labels, SHAPE, config(epochs=3), reference=reference(labels)).ensemble
        for _ in range(2)
    )
    zeros = np.zeros(len(GRID), dtype=np.int64)
    assert np.array_equal(one.predict(GRID, zeros), other.predict(GRID, zeros))


def test_nothing_to_learn_from_is_said(toy, segment_response, annotator) -> None:
    labels = toy(("score",), 5)
    with pytest.raises(ValueError, match="at least one label .* got 0"):
        fit_vector_reward(labels, SHAPE, config(score_weight=0), reference=reference(labels))
    tie = Comparison(
        annotator=annotator,
        chosen=segment_response([0]),
        rejected=segment_response([1]),
        is_tie=True,
    )
    with pytest.raises(ValueError, match="single class"):
        ties = labels_from_records([tie])
        fit_vector_reward(ties, SHAPE, config(), reference=reference(ties))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reduction": "max"}, "reduction must be one of .* got 'max'"),
        ({"held_out_fraction": 1.0}, r"held_out_fraction must lie in \[0, 1\), got 1.0"),
        ({"rule": "best"}, "rule must be one of"),
        ({"members": 0}, "members must be at least 1"),
        ({"score_weight": -1.0}, "score_weight"),
        ({"epochs": 0}, "epochs must be a number above 0"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VectorRewardConfig(**changes)
