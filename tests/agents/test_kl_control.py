"""KL control against the formula, worked out by hand."""

from __future__ import annotations

import pytest

from textgym.agents.kl_control import AdaptiveKLController, FixedKLController


def test_adaptive_by_hand() -> None:
    control = AdaptiveKLController(kl_coef=0.1, target=6.0, horizon=1000.0)
    assert control.update(kl=6.6, n_episodes=100) == pytest.approx(0.1 * (1 + 0.1 * 0.1))
    # 60 is ten times the target: the error is clipped at 0.2.
    assert control.update(kl=60.0, n_episodes=500) == pytest.approx(0.101 * (1 + 0.2 * 0.5))
    assert control.update(kl=0.0, n_episodes=500) == pytest.approx(0.101 * 1.1 * (1 - 0.2 * 0.5))


def test_fixed_stays() -> None:
    assert FixedKLController(kl_coef=0.3).update(kl=100.0, n_episodes=10) == 0.3


@pytest.mark.parametrize("field", ["kl_coef", "target", "horizon"])
def test_adaptive_needs_positive_numbers(field: str) -> None:
    numbers = {"kl_coef": 0.1, "target": 6.0, "horizon": 10.0, field: 0.0}
    with pytest.raises(ValueError, match=field):
        AdaptiveKLController(**numbers)
