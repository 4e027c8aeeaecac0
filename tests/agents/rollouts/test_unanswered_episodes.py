"""Episodes that a teacher did not score in time: played, counted, and never learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

from textgym.agents import A2C, PPO
from textgym.agents.evaluation.held_out import EvaluationConfig, make_evaluation_env
from textgym.agents.evaluation.judges import RewardJudge
from textgym.feedback.episode_judge import EpisodeJudge
from textgym.feedback.teacher_reward import open_teacher_reward
from textgym.rollout import rollout
from textgym.vector_env import TokenVectorEnv

MANY_ENDS = (2, 7, 11, 20, 40, 41, 43)


@pytest.fixture
def make_taught_env(make_text_task: Callable[..., Any]) -> Callable[..., TokenVectorEnv]:
    """Return `make(actions, **kwargs)`: rows whose episodes a simulated teacher scores."""

    def make(actions: tuple[int, ...], **kwargs: Any) -> TokenVectorEnv:
        def build(config: Any) -> Any:
            task = make_text_task(actions)(config)
            judge = EpisodeJudge(gold=task.reward, prompts=task.prompts, tokenizer=task.tokenizer)
            return replace(
                task, gold=task.reward, reward=open_teacher_reward(task.config, judge, (0.5, 0.2))
            )

        settings = {"max_prompt_tokens": 12, "max_new_tokens": 6, "reward_timing": "deferred"}
        return TokenVectorEnv(build, 6, **{**settings, **kwargs})

    return make


class Watch(BaseCallback):
    """Keeps what each rollout left in the buffer, before the update."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        super().__init__()
        self.seen: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        env, buffer = self.model.env.unwrapped.env, self.model.rollout_buffer
        ended = {(e.row, e.step): e.score for e in env.settled_episodes}
        self.seen.append(
            {
                "ended": ended,
                "segments": [(int(row), int(stop) - 1) for row, _, stop, _ in buffer.segments],
                "is_valid": buffer.is_valid.copy(),
                "returns": buffer.returns,
                "metrics": dict(self.model.logger.name_to_value),
                "paid": len(self.model.ep_info_buffer),
            }
        )


def test_what_was_not_answered_is_not_learned_from(make_taught_env: Callable[..., Any]) -> None:
    env = make_taught_env(MANY_ENDS, teacher="delay=4")
    agent = PPO("TransformerPolicy", env, n_steps=9, seed=0)
    watch = Watch()
    agent.learn(6 * 9 * 2, callback=watch)
    assert env.reward_timing == "deferred" and len(watch.seen) == 2
    paid = 0
    for seen in watch.seen:
        missing = {where for where, score in seen["ended"].items() if score is None}
        assert missing and len(missing) < len(seen["ended"])
        assert missing == {where for where in seen["ended"] if where[1] > 9 - 1 - 4}
        assert not missing & set(seen["segments"])
        assert set(seen["ended"]) - missing <= set(seen["segments"])
        assert not any(seen["is_valid"][row, step] for row, step in missing)
        assert np.isfinite(seen["returns"]).all()
        scores = [score for score in seen["ended"].values() if score is not None]
        metrics = seen["metrics"]
        assert metrics["rollout/score"] == pytest.approx(np.mean(scores))
        assert metrics["rollout/answered"] == pytest.approx(len(scores) / len(seen["ended"]))
        assert metrics["rollout/episodes"] == len(seen["ended"])
        assert np.isfinite(metrics["rollout/reward"])
        paid += len(scores)
        assert seen["paid"] == paid


def test_a_teacher_who_answers_at_once_changes_nothing(
    make_taught_env: Callable[..., Any],
) -> None:
    found = []
    for kwargs in ({"reward_timing": "step"}, {"teacher_budget": 10_000}):
        agent = PPO("TransformerPolicy", make_taught_env(MANY_ENDS, **kwargs), n_steps=9, seed=0)
        watch = Watch()
        agent.learn(6 * 9 * 2, callback=watch)
        found.append(watch.seen)
    for one, other in zip(*found, strict=True):
        assert "rollout/answered" not in one["metrics"]
        np.testing.assert_array_equal(one["returns"], other["returns"])


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_a_rollout_that_nobody_scored_leaves_the_policy_as_it_is(
    make_taught_env: Callable[..., Any], algorithm: Any
) -> None:
    env = make_taught_env((40, 41, 43), teacher="dropout_round=0")  # every episode has 6 steps
    agent = algorithm("TransformerPolicy", env, n_steps=6, seed=0)
    before = th.nn.utils.parameters_to_vector(agent.policy.parameters()).clone()
    with pytest.warns(RuntimeWarning, match="no episode of this rollout was scored"):
        agent.learn(6 * 6)
    assert th.equal(before, th.nn.utils.parameters_to_vector(agent.policy.parameters()))


def test_a_judge_refuses_a_teacher_who_leaves_episodes_unanswered(
    make_taught_env: Callable[..., Any],
) -> None:
    env = make_taught_env(MANY_ENDS, teacher="skip_rate=0.5")
    episodes = rollout(env, None, 12, seed=0)
    with pytest.raises(ValueError, match=r"the teacher left \d+ of 24 episodes unanswered"):
        RewardJudge("the teacher", env.task.reward).preferences(episodes, episodes)


def test_an_evaluation_keeps_its_labels_out_of_the_books(
    tmp_path: Path, tiny_model_folder: Path
) -> None:
    store = tmp_path / "feedback.db"
    env = make_evaluation_env(
        "RLHF-Summarize-v0",
        EvaluationConfig(num_envs=2, n_prompts=2),
        reference_model=str(tiny_model_folder),
        reward="teacher",
        teacher_store=str(store),
        teacher_budget=1,
        max_prompt_tokens=40,
        max_new_tokens=4,
        device="cpu",
    )
    episodes = rollout(env, None, 2, seed=0)
    assert all(episode.score is not None for episode in episodes)
    assert not store.exists()
