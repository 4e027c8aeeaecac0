"""A teacher's records say which policy wrote each response, and how it was sampled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textgym.agents import PPO
from textgym.agents.policies.fingerprint import weights_fingerprint
from textgym.feedback.store import FeedbackStore


@pytest.mark.parametrize("reward", ["teacher", "teacher-0.1*length"])
def test_records_hold_the_fingerprint_of_the_policy_that_acted(
    make_teacher_env: Callable[..., Any], tmp_path: Path, reward: str
) -> None:
    env = make_teacher_env(tmp_path / "f.db", teacher="", teacher_budget=None, reward=reward)
    agent = PPO("TransformerPolicy", env, n_steps=6, seed=0, learning_rate=1e-3)
    before = weights_fingerprint(agent.policy.language_model)
    agent.learn(36)
    between = weights_fingerprint(agent.policy.language_model)
    agent.learn(36, reset_num_timesteps=False)
    assert len({before, between, weights_fingerprint(agent.policy.language_model)}) == 3
    with FeedbackStore(tmp_path / "f.db", create=False) as store:
        records: list[Any] = [item.record for item in store.iterate()]
    found = [(r.round_index >= 6, r.response.policy_fingerprint) for r in records]
    assert set(found) == {(False, before), (True, between)}
    assert all(r.response.sampling == {"temperature": 1.0} for r in records)
