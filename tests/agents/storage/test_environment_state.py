"""A run that goes on from its folder is the run that was never interrupted, teacher included."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

from textgym.agents import PPO
from textgym.agents.rollouts.asked_rewards import saved_rewards
from textgym.agents.storage.environment_state import OPEN_PROMPTS, OPEN_ROWS, REWARD
from textgym.feedback.store import FeedbackStore
from textgym.prompts import PromptList
from textgym.vector_env import TokenVectorEnv

MakeEnv = Callable[..., TokenVectorEnv]


def agent_on(env: TokenVectorEnv) -> PPO:
    return PPO("TransformerPolicy", env, n_steps=5, seed=0, learning_rate=3e-3, kl_target=1.0)


def state_of(agent: PPO) -> dict[str, Any]:
    """All that training goes on from."""
    (reward,) = saved_rewards(agent.env)  # type: ignore[arg-type]
    broker = json.loads(json.dumps(reward.state_dict()))["broker"]
    weights = th.nn.utils.parameters_to_vector(agent.policy.parameters()).detach()
    return {
        "weights": weights.tolist(),
        "money": broker["budget"],
        "round": broker["round_index"],
        "counts": broker["counts"],
        "teacher": _without_ids(broker["teacher"]),
        "kl_coef": agent.kl_controller.kl_coef,  # type: ignore[union-attr]
        "sums": np.nan_to_num(agent._tally.open_sums, nan=-1.0).tolist(),
        "observations": np.asarray(agent._last_obs).tolist(),
    }


def _without_ids(value: Any) -> Any:
    """Leave out what names a run and when it was."""
    named = ("record_id", "query_id", "asked_at", "answered_at")
    if isinstance(value, dict):
        return {k: _without_ids(v) for k, v in value.items() if k not in named}
    return [_without_ids(v) for v in value] if isinstance(value, list) else value


def stored(path: Path) -> list[Any]:
    with FeedbackStore(path, create=False) as store:
        records = [item.record for item in store.iterate()]
    return [(r.kind, getattr(r, "value", None), r.round_index, r.annotator.id) for r in records]


class SaveAt(BaseCallback):
    """Saves when a rollout begins, as the checkpoints of a run are saved."""

    def __init__(self, path: Path, steps: int) -> None:  # noqa: D107
        super().__init__()
        self.path, self.steps = path, steps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps == self.steps:
            self.model.save(self.path)


@pytest.mark.parametrize("lost_rollouts", [0, 1])
def test_a_resumed_run_is_the_uninterrupted_one(
    make_teacher_env: MakeEnv, tmp_path: Path, lost_rollouts: int
) -> None:
    """Also where the run was killed some rollouts after its checkpoint: answers are taken once."""
    total, saved_at = 150, 60
    whole = agent_on(make_teacher_env(tmp_path / "whole.db"))
    whole.learn(total)

    cut = agent_on(make_teacher_env(tmp_path / "cut.db"))
    saving = SaveAt(tmp_path / "agent", saved_at)
    # The schedules look at the total, so the run is ended by a limit of its own.
    cut.learn(total, callback=[saving, StopAt(saved_at + 30 * (1 + lost_rollouts))])
    assert (tmp_path / "agent" / REWARD).is_file() and (tmp_path / "agent" / OPEN_ROWS).is_file()

    env = make_teacher_env(tmp_path / "cut.db")
    resumed = PPO.load(tmp_path / "agent", env=env, device="cpu")
    assert resumed.num_timesteps == saved_at
    resumed.learn(total - saved_at, reset_num_timesteps=False)
    ours, theirs = state_of(resumed), state_of(whole)
    for name, value in theirs.items():
        assert ours[name] == value, name
    assert stored(tmp_path / "cut.db") == stored(tmp_path / "whole.db")
    assert theirs["money"]["spent"] > 0 and theirs["counts"]["unaffordable"] > 0


class StopAt(BaseCallback):
    """Ends training once so many steps are done."""

    def __init__(self, steps: int) -> None:  # noqa: D107
        super().__init__()
        self.steps = steps

    def _on_step(self) -> bool:
        return self.num_timesteps < self.steps


def test_a_temporary_store_is_left_behind_and_a_fresh_teacher_is_had_by_set_env(
    make_teacher_env: MakeEnv, tmp_path: Path
) -> None:
    agent = agent_on(make_teacher_env())
    agent.learn(60)
    agent.save(tmp_path / "agent")
    (before,) = saved_rewards(agent.env)  # type: ignore[arg-type]
    spent = before.state_dict()["broker"]["budget"]["spent"]
    resumed = PPO.load(tmp_path / "agent", env=make_teacher_env(), device="cpu")
    (reward,) = saved_rewards(resumed.env)  # type: ignore[arg-type]
    # The temporary store of the first is gone; what was spent is not forgotten.
    assert reward.state_dict()["broker"]["budget"]["spent"] == spent > 0
    fresh = PPO.load(tmp_path / "agent", device="cpu")
    fresh.set_env(make_teacher_env())
    (reward,) = saved_rewards(fresh.env)  # type: ignore[arg-type]
    assert reward.state_dict()["broker"]["budget"]["spent"] == 0
    nobody = make_teacher_env(reward="gold", teacher=None, teacher_budget=None)
    gold = PPO.load(tmp_path / "agent", env=nobody, device="cpu")
    assert saved_rewards(gold.env) == []  # type: ignore[arg-type]


def test_another_store_is_refused(make_teacher_env: MakeEnv, tmp_path: Path) -> None:
    agent = agent_on(make_teacher_env(tmp_path / "a.db"))
    agent.learn(30)
    agent.save(tmp_path / "agent")
    for env in (make_teacher_env(tmp_path / "b.db"), make_teacher_env()):
        with pytest.raises(ValueError, match=r"saved with the store.*fresh teacher.*set_env"):
            PPO.load(tmp_path / "agent", env=env, device="cpu")
    with pytest.raises(ValueError, match=r"state of a sum with \['teacher'\]"):
        env = make_teacher_env(tmp_path / "a.db", reward="teacher-0.1*length")
        PPO.load(tmp_path / "agent", env=env, device="cpu")


def test_the_teacher_of_a_sum_is_saved(make_teacher_env: MakeEnv, tmp_path: Path) -> None:
    agent = agent_on(make_teacher_env(tmp_path / "a.db", reward="teacher-0.1*length"))
    agent.learn(30)
    agent.save(tmp_path / "agent")
    env = make_teacher_env(tmp_path / "a.db", reward="teacher-0.1*length")
    resumed = PPO.load(tmp_path / "agent", env=env, device="cpu")
    ours, theirs = (saved_rewards(a.env)[0].state_dict() for a in (resumed, agent))  # type: ignore[arg-type]
    assert ours == theirs and ours["teacher"]["num_asked"] > 0


def test_open_episodes_stay_open_only_where_prompts_are_the_same(
    make_text_env: Callable[..., Any], tmp_path: Path
) -> None:
    agent = PPO("TransformerPolicy", make_text_env(), n_steps=5, seed=0)
    agent.learn(30)
    agent.save(tmp_path / "agent")
    assert not (tmp_path / "agent" / REWARD).exists()
    resumed = PPO.load(tmp_path / "agent", env=make_text_env(), device="cpu")
    np.testing.assert_array_equal(resumed._last_obs, agent._last_obs)
    assert (resumed.env.unwrapped.env.get_state().lengths > 1).all()  # type: ignore[union-attr]
    prompts = json.loads((tmp_path / "agent" / OPEN_PROMPTS).read_text("utf-8"))["prompts"]
    assert {prompt_id for prompt_id, _ in prompts} <= {0, 1, 2}
    env = make_text_env()
    env.unwrapped.task.prompts._prompts = PromptList(["x", "y", "z"])._prompts
    assert PPO.load(tmp_path / "agent", env=env, device="cpu")._last_obs is None
    wider = make_text_env(max_prompt_tokens=11, max_new_tokens=7)  # as wide, other responses
    assert PPO.load(tmp_path / "agent", env=wider, device="cpu")._last_obs is None
