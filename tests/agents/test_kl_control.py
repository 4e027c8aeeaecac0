"""KL control against the formula, worked out by hand."""

from __future__ import annotations

import pytest

from textgym.agents.kl_control import AdaptiveKLController, FallingKLController, FixedKLController


def test_adaptive_by_hand() -> None:
    control = AdaptiveKLController(kl_coef=0.1, target=6.0, horizon=1000.0)
    assert control.update(kl=6.6, n_episodes=100) == pytest.approx(0.1 * (1 + 0.1 * 0.1))
    # 60 is ten times the target: the error is clipped at 0.2.
    assert control.update(kl=60.0, n_episodes=500) == pytest.approx(0.101 * (1 + 0.2 * 0.5))
    assert control.update(kl=0.0, n_episodes=500) == pytest.approx(0.101 * 1.1 * (1 - 0.2 * 0.5))


def test_adaptive_waits_for_an_episode() -> None:
    assert AdaptiveKLController(kl_coef=0.1, target=6.0).update(kl=None, n_episodes=0) == 0.1


def test_falling_by_hand() -> None:
    """From 1 to 0.1 in the first 60 % of training: 1 - 1.5 times what is done."""
    control = FallingKLController(start=1.0, final=0.1)
    assert control.kl_coef == 1.0
    found = [control.update(None, 0, done) for done in (0.1, 0.4, 0.6, 1.0)]
    assert found == pytest.approx([0.85, 0.4, 0.1, 0.1]) and control.kl_coef == found[-1]
    assert FallingKLController(start=2.0, final=0.0, share=1.0).update(9.0, 9, 0.25) == 1.5


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"start": 0.1, "final": 0.2}, "kl_start must be at least .* 0.2, got 0.1"),
        ({"start": float("inf"), "final": 0.2}, "finite and at least 0, got inf"),
        ({"start": 1.0, "final": -0.1}, "finite and at least 0, got -0.1"),
        ({"start": 1.0, "final": 0.1, "share": 0.0}, r"share must be in \(0, 1\], got 0.0"),
    ],
)
def test_falling_needs_room_to_fall(numbers: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FallingKLController(**numbers)


def test_fixed_stays() -> None:
    assert FixedKLController(kl_coef=0.3).update(kl=100.0, n_episodes=10) == 0.3


@pytest.mark.parametrize("field", ["kl_coef", "target", "horizon"])
def test_adaptive_needs_positive_numbers(field: str) -> None:
    numbers = {"kl_coef": 0.1, "target": 6.0, "horizon": 10.0, field: 0.0}
    with pytest.raises(ValueError, match=field):
        AdaptiveKLController(**numbers)
