"""A text environment in the loop, at a tiny size: rounds, choice, money, and going on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.feedback_loop.text_run import TextRunConfig, run_text
from textgym.agents.feedback_loop.text_settings import TextLoopSettings
from textgym.agents.reward_learning.text_training import TextRewardConfig
from textgym.agents.storage.checkpoint import load_json
from textgym.feedback.store import FeedbackStore
from textgym.feedback.teachers import TeacherConfig
from textgym.rewards.learned_ensemble import is_ensemble

CONFIG = TextRunConfig(
    env_id="RLHF-Summarize-v0",
    plan=LoopPlan(
        budget=30.0, rounds=2, total_steps=128, initial_share_of_steps=0.0, eval_episodes=6
    ),
    text=TextLoopSettings(
        feedback_kind="comparison+score+language",
        selection="disagreement",
        candidates=2,
        n_reference=12,
        n_envs=4,
        ppo={"n_steps": 16, "batch_size": 64},
    ),
    reward=TextRewardConfig(model="", members=2, epochs=1.0, batch_tokens=4096),
    teacher=TeacherConfig(beta=2.0, score_noise=0.1, eps_mistake=0.1),
    has_baseline=False,
)


class Stopped(Exception):
    """A run that is killed."""


def report(done: int, words: str) -> None:
    pass


def records(folder: Path) -> list[Any]:
    with FeedbackStore(folder / "seed-0" / "feedback.db", create=False) as store:
        return [item.record for item in store.iterate()]


def contents(folder: Path) -> list[Any]:
    """All that does not say when it was."""
    return [replace(r, asked_at=None, answered_at=None) for r in records(folder)]


@pytest.fixture(scope="module")
def small(tiny_model_folder: Path) -> TextRunConfig:
    """A random two-layer Llama is the reference, and what rewards are learned from."""
    tiny = str(tiny_model_folder)
    sizes = {"max_prompt_tokens": 24, "max_new_tokens": 8}
    return replace(CONFIG, env_kwargs={"reference_model": tiny, "tokenizer": tiny, **sizes})


@pytest.fixture(scope="module")
def whole(small: TextRunConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("whole")
    (found,) = run_text(small, folder, report)
    return folder, found


def test_rounds_ask_learn_and_improve(whole: tuple[Path, Any]) -> None:
    folder, found = whole
    assert [row.steps for row in found.rounds] == [0, 64, 128]
    # A quarter of the money first: two of each kind and one more comparison.
    assert [row.asked for row in found.rounds] == [7, 23, 0]
    assert (found.labels, found.spent) == (30, 30.0)
    assert set(found.rounds[1].held_out) <= {"comparison", "score", "language"}
    assert found.rounds[1].held_out and not found.rounds[2].held_out
    kinds = Counter(record.kind for record in records(folder))
    assert kinds == {"comparison": 11, "score": 10, "language": 9}
    for version in (1, 2):
        assert is_ensemble(folder / "seed-0" / f"reward-{version}" / "model")
    assert {record.round_index for record in records(folder)} == {0, 1}


def test_records_say_which_policy_wrote_and_how(whole: tuple[Path, Any]) -> None:
    folder, _ = whole
    prints: dict[int, set[str]] = {0: set(), 1: set()}
    for record in records(folder):
        response = getattr(record, "response", None) or record.chosen
        prints[record.round_index].add(response.policy_fingerprint)
        assert response.sampling == {"temperature": 1.0} and response.token_ids
        assert response.gold_score is not None and 0 < len(response.token_ids) <= 8
    assert len(prints[0]) == len(prints[1]) == 1 and prints[0] != prints[1]


@pytest.mark.parametrize("killed_in", ["learning the reward", "improving the policy"])
def test_a_killed_run_goes_on_as_if_it_had_not_been(
    small: TextRunConfig,
    whole: tuple[Path, Any],
    tmp_path: Path,
    killed_in: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed after the second round's answers were stored, or in the middle of PPO."""
    from textgym.agents.feedback_loop import text

    calls = Counter[str]()

    def dying(original: Any, name: str, at: int) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            if name == killed_in and calls[name] == at:
                raise Stopped
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        fit = dying(text.fit_text_reward, "learning the reward", at=2)
        patch.setattr(text, "fit_text_reward", fit)
        learn = dying(text.PPO.learn, "improving the policy", at=2)
        patch.setattr(text.PPO, "learn", learn)
        with pytest.raises(Stopped):
            run_text(small, tmp_path, report)
    (found,) = run_text(small, tmp_path, report)
    folder, expected = whole
    assert found == expected
    assert contents(tmp_path) == contents(folder)  # nothing is asked, or stored, twice


def test_a_teacher_who_leaves_locks_no_money_away(small: TextRunConfig, tmp_path: Path) -> None:
    plan = replace(small.plan, rounds=3, budget=12.0)
    text = replace(small.text, feedback_kind="score", selection="random")
    teacher = TeacherConfig(dropout_round=1, score_noise=0.2)
    config = replace(small, plan=plan, text=text, teacher=teacher)
    (found,) = run_text(config, tmp_path, report)
    # What nobody answered in a round is offered again in the next.
    assert [row.asked for row in found.rounds] == [3, 4, 9, 0]
    assert (found.labels, found.spent) == (3, 3.0)
    assert [bool(row.held_out) for row in found.rounds] == [True, False, False, False]


def test_answers_that_all_tie_teach_nothing_and_the_next_round_asks_on(
    small: TextRunConfig, tmp_path: Path
) -> None:
    text = replace(small.text, feedback_kind="comparison", selection="random")
    config = replace(small, text=text, teacher=TeacherConfig(eps_equal=100.0))
    (found,) = run_text(config, tmp_path, report)
    assert [row.asked for row in found.rounds] == [7, 23, 0]
    assert [row.steps for row in found.rounds] == [0, 0, 0]
    assert not any(row.held_out for row in found.rounds)


def test_the_baseline_is_trained_on_gold_in_the_rewards_unit(
    small: TextRunConfig, tmp_path: Path
) -> None:
    config = replace(small, has_baseline=True, plan=replace(small.plan, total_steps=64, rounds=1))
    (found,) = run_text(config, tmp_path, report)
    saved = load_json(tmp_path / "seed-0" / "true-reward.json")
    assert saved["return"]["mean"] == found.true_reward_return
    assert np.isfinite(found.true_reward_return or np.nan)
    assert saved["asked_for"]["settings"]["total_steps"] == 64


def test_environments_without_gold_are_refused(tmp_path: Path) -> None:
    config = replace(CONFIG, env_id="Probe-ExactKL-v0")
    with pytest.raises(ValueError, match="gold utility|language model"):
        run_text(config, tmp_path / "run", report)
    assert not (tmp_path / "run").exists()
