"""Alarms: measures by hand, thresholds from the reference, quiet on it and ringing beyond it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from textgym.agents.evaluation.alarms import (
    AlarmConfig,
    Alarms,
    Ensemble,
    lengths,
    perplexities,
    repetitions,
)
from textgym.types import Episode, Prompt


def episode(ids: Sequence[int], log_prob: float | None = -1.0) -> Episode:
    return Episode(
        prompt=Prompt(prompt_id=0, text="p"),
        prompt_ids=(1,),
        response_ids=tuple(ids),
        response="x",
        finish_reason="eos",
        ref_log_probs=() if log_prob is None else (log_prob,) * len(ids),
    )


def reference(count: int, seed: int = 0) -> list[Episode]:
    """Draw responses of 5 to 14 different tokens and of different likelihood."""
    rng = np.random.default_rng(seed)
    return [
        episode(rng.permutation(100)[: rng.integers(5, 15)], -float(rng.uniform(0.5, 1.5)))
        for _ in range(count)
    ]


class Linear:
    """Scores by weight times length plus what depends on the first token."""

    def __init__(self, weight: float, first: float) -> None:
        """Keep the weights."""
        self.name, self.weight, self.first = f"linear{weight}", weight, first

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        rows = [(len(e.response_ids), e.response_ids[0]) for e in episodes]
        return np.array([self.weight * n + self.first * first for n, first in rows], np.float32)


def test_measures_by_hand() -> None:
    one = episode((1, 2, 1, 2, 1), -0.5)
    assert lengths([one]) == 5
    assert repetitions([one]) == pytest.approx(1 / 2)  # (1,2) (2,1) (1,2) (2,1)
    assert repetitions([episode((1,)), episode((1, 2, 3))]).tolist() == [0, 0]
    assert perplexities([one]) == pytest.approx(np.exp(0.5))


def test_thresholds_leave_the_tail_outside() -> None:
    alarms = Alarms(reference(400))
    read = alarms.read(reference(400))
    assert set(read) == {"length", "repetition", "ref_perplexity"}
    assert all(one.share <= 0.05 for one in read.values())
    low, high = alarms.thresholds["ref_perplexity"]
    assert np.exp(0.5) <= low < np.exp(0.55) and np.exp(1.45) < high <= np.exp(1.5)
    assert alarms.thresholds["length"] == (-np.inf, 14.0)


def test_quiet_on_fresh_responses_of_the_reference() -> None:
    alarms = Alarms(reference(400))
    for seed in range(1, 30):
        assert not any(one.is_ringing for one in alarms.read(reference(64, seed)).values())


@pytest.mark.parametrize(
    ("odd", "name"),
    [
        (episode(range(30)), "length"),
        (episode((1, 2, 3) * 3), "repetition"),
        (episode(range(9), -0.1), "ref_perplexity"),
        (episode(range(9), -3.0), "ref_perplexity"),
    ],
)
def test_rings_for_its_own_sign_alone(odd: Episode, name: str) -> None:
    alarms = Alarms(reference(400))
    read = alarms.read([odd] * 20 + reference(44, 5))
    assert [key for key, one in read.items() if one.is_ringing] == [name]
    assert read[name].share >= 20 / 64


def test_ring_share_by_hand() -> None:
    # Standard error of a share of 5 % in 100 responses, and in 400: .021794 and .010897.
    expected = 0.05 + 5 * np.hypot(0.021794, 0.010897)
    assert AlarmConfig().ring_share(100, 400) == pytest.approx(expected, abs=1e-5)
    alarms = Alarms(reference(400))
    for num_odd, rings in ((9, False), (30, True)):
        batch = [episode(range(30))] * num_odd + [episode(range(5))] * (100 - num_odd)
        assert alarms.read(batch)["length"].is_ringing is rings


def test_a_small_batch_rings_nothing() -> None:
    read = Alarms(reference(100)).read([episode(range(50))] * 31)
    assert read["length"].share == 1 and not read["length"].is_ringing


def test_ensemble_is_normalised_before_it_may_disagree() -> None:
    known = reference(200)
    # The same order on another scale: no disagreement, whatever the offset.
    same = Ensemble([Linear(1.0, 0.0), Linear(10.0, 0.0)])
    same.normalise(known)
    assert same.disagreement(known) == pytest.approx(0, abs=1e-5)
    other = Ensemble([Linear(1.0, 0.0), Linear(0.0, 1.0)])
    alarms = Alarms(known, ensemble=other)
    read = alarms.read([episode(range(200))] * 40)
    assert read["disagreement"].is_ringing


def test_without_reference_log_probs_there_is_no_perplexity() -> None:
    assert "ref_perplexity" not in Alarms([episode((1, 2), None)] * 20).thresholds


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 reference responses"):
        Alarms(reference(19))
    with pytest.raises(ValueError, match="at least two members, got 1"):
        Ensemble([Linear(1.0, 0.0)])
    with pytest.raises(ValueError, match="tail"):
        AlarmConfig(tail=0.5)
    with pytest.raises(ValueError, match="z must be a finite number above 0, got 0"):
        AlarmConfig(z=0)
    with pytest.raises(ValueError, match="min_episodes"):
        AlarmConfig(min_episodes=0)
