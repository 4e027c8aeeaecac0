"""Budgets and presets of known environments."""

from __future__ import annotations

from textgym.agents.presets import A2C_PRESETS, PPO_PRESETS
from textgym.agents.run_defaults import (
    LOOP_FLAGS,
    PRESETS,
    STEPS,
    default_loop_flags,
    default_preset,
    default_steps,
)
from textgym.envs_registry.specs import ENVIRONMENTS
from textgym.suites import PROBES


def test_what_is_named_exists() -> None:
    ids = {row.id for row in ENVIRONMENTS}
    assert set(STEPS) <= ids and set(PRESETS) <= ids
    assert set(PRESETS.values()) <= set(PPO_PRESETS)


def test_every_probe_has_a_budget_and_a_preset_of_its_own_kind() -> None:
    for env_id in PROBES:
        assert default_steps(env_id) <= 50_000
        assert default_preset(env_id).startswith("probe")
        assert default_preset(env_id, "a2c") in A2C_PRESETS


def test_what_is_not_named_has_the_common_ones() -> None:
    assert default_preset("RLHF-Summarize-v0") == default_preset("My-v0") == "textgym"
    assert default_steps("My-v0") == 300_000 and default_steps("RLHF-Summarize-v0") == 180_000


def test_every_environment_that_is_paid_by_feedback_has_a_budget_of_labels() -> None:
    assert set(LOOP_FLAGS) == {row.id for row in ENVIRONMENTS if row.family == "control"}
    for env_id in LOOP_FLAGS:
        flags = default_loop_flags(env_id)
        assert float(flags[flags.index("--budget") + 1]) > 0, env_id
    assert default_loop_flags("TwoState-v0") == []
