"""Suites are groups of the table: nothing is lost, nothing is in two."""

from __future__ import annotations

import gymnasium as gym
import pytest

import textgym
from textgym import suites


def test_every_environment_is_in_one_suite() -> None:
    assert sorted(suites.RLHF + suites.PROBES + suites.TEACHING) == sorted(suites.ALL)
    assert len(set(suites.ALL)) == len(suites.ALL)
    assert all(env_id in gym.registry for env_id in suites.ALL)


def test_they_are_named_by_what_they_hold() -> None:
    assert "RLHF-Summarize-v0" in textgym.suites.RLHF
    assert "Probe-ExactKL-v0" in textgym.suites.PROBES
    assert all(env_id.startswith("Probe-") for env_id in suites.PROBES)
    assert not any(env_id.startswith(("Probe-", "RLHF-")) for env_id in suites.TEACHING)


def test_by_name() -> None:
    assert suites.suite("probes") is suites.PROBES and suites.suite("ALL") is suites.ALL
    with pytest.raises(ValueError, match="RLHF, PROBES, TEACHING, ALL, got 'PROBE'; did you mean"):
        suites.suite("PROBE")
