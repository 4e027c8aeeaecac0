"""`reward="teacher"`: what is paid, when, and what is left out, on a task small enough to count."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textgym.config import TextEnvConfig
from textgym.feedback.store import FeedbackStore
from textgym.feedback.store_engine import StoreError
from textgym.feedback.teachers import Finding, score_of
from textgym.feedback.teachers.critic import rubric_critic
from textgym.prompts import PromptList
from textgym.reference import TableReference
from textgym.rollout import rollout
from textgym.task import TextTask
from textgym.task_models import text_task
from textgym.token_env import TokenEnv
from textgym.types import Episode
from textgym.vector_env import TokenVectorEnv

A, B, EOS = 2, 3, 4
MEAN, STD = 1.0, 0.5


class CountA:
    """Gold: the number of "a"."""

    name = "gold"

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        return np.array([e.response.split().count("a") for e in episodes], dtype=np.float32)

    def findings(self, episode: Episode) -> tuple[Finding, ...]:
        return () if "b" not in episode.response else (Finding(aspect="repeated"),)


def build(config: TextEnvConfig) -> TextTask:
    config = replace(config, tokenizer="symbols:p q a b <eos>")
    prompts = PromptList(["p", "p q"])
    return text_task(config, prompts=prompts, gold=CountA(), gold_scale=(MEAN, STD))


def build_with_reference(config: TextEnvConfig) -> TextTask:
    reference = lambda rows, width: TableReference(lambda state: np.zeros(5))  # noqa: E731
    return replace(build(config), make_reference=reference)


def make(num_envs: int = 2, builder: Any = build, **kwargs: Any) -> TokenVectorEnv:
    settings = {"max_prompt_tokens": 2, "max_new_tokens": 3, "reward": "teacher", **kwargs}
    return TokenVectorEnv(builder, num_envs, **settings)


def play(env: TokenVectorEnv, *steps: list[int]) -> np.ndarray:
    env.reset(seed=0)
    return np.array([env.step(np.array(actions))[1] for actions in steps])


def expected(gold: float) -> float:
    return score_of((gold - MEAN) / STD)


class CountFacts(CountA):
    """Gold that compares with what is known of the prompt."""

    needs_facts = True


def build_with_facts(config: TextEnvConfig) -> TextTask:
    config = replace(config, tokenizer="symbols:p q a b <eos>")
    return text_task(config, prompts=PromptList(["p", "p q"]), gold=CountFacts())


@pytest.mark.parametrize("reward", ["teacher", "teacher+length"])
def test_a_prompt_of_ones_own_is_refused_at_reset_where_gold_reads_facts(reward: str) -> None:
    env = make(builder=build_with_facts, reward=reward)
    for own in ("q", [None, "q"]):
        with pytest.raises(ValueError, match=f"reward='{re.escape(reward)}' reads facts.*got prom"):
            env.reset(options={"prompt": own})
    env.reset(seed=0, options={"prompt_id": 1})
    single = TokenEnv(build_with_facts, max_prompt_tokens=2, max_new_tokens=3, reward=reward)
    with pytest.raises(ValueError, match="got prompt='q'"):
        single.reset(options={"prompt": "q"})


def test_a_prompt_of_ones_own_is_paid_where_gold_is_of_the_text_alone() -> None:
    env = make()
    env.reset(seed=0, options={"prompt": ["q", None]})
    rewards = [env.step(np.array(actions))[1] for actions in ([A, A], [A, EOS], [EOS, A])]
    np.testing.assert_allclose(rewards[2][0], expected(2.0))
    np.testing.assert_allclose(rewards[1][1], expected(1.0))


def test_an_oracle_pays_the_scaled_gold_in_the_step_and_at_settlement() -> None:
    steps = ([A, EOS], [A, A], [EOS, EOS])
    by_step = play(make(), *steps)
    wanted = [[0, expected(0)], [0, 0], [expected(2), expected(1)]]
    np.testing.assert_allclose(by_step, wanted, rtol=1e-6)
    deferred = make(reward_timing="deferred")
    assert not play(deferred, *steps).any()
    np.testing.assert_allclose(deferred.settle_rewards(), wanted, rtol=1e-6)
    ended = deferred.settled_episodes
    assert [e.gold_score for e in ended] == [0.0, 2.0, 1.0]
    assert all(set(e.reward_terms) == {"teacher"} for e in ended)


def test_noise_is_the_same_in_the_step_and_at_settlement() -> None:
    steps = ([A, EOS], [A, A], [EOS, EOS], [EOS, A])
    knobs = "score_noise=0.2,drift=0.3,anchoring=0.5,seed=5"
    by_step = play(make(teacher=knobs), *steps)
    deferred = make(teacher=knobs, reward_timing="deferred")
    play(deferred, *steps)
    np.testing.assert_allclose(deferred.settle_rewards(), by_step, rtol=1e-6)
    other = play(make(teacher="score_noise=0.2,drift=0.3,anchoring=0.5,seed=6"), *steps)
    assert not np.allclose(other, by_step)


def test_a_single_environment_is_paid_by_the_step() -> None:
    env = TokenEnv(build, reward="teacher", max_prompt_tokens=2, max_new_tokens=3)
    env.reset(seed=0)
    env.step(A)
    _, reward, terminated, _, info = env.step(EOS)
    assert terminated and reward == pytest.approx(0.5) and info["score"] == pytest.approx(0.5)


def test_what_is_not_answered_by_the_settlement_is_masked_and_never_0() -> None:
    env = make(teacher="delay=2", reward_timing="deferred")
    play(env, [EOS, A], [A, EOS], [A, EOS], [EOS, EOS])
    rewards = env.settle_rewards()
    # The answers to steps 0 and 1 have come by the last step, 3; those to 2 and 3 have not.
    assert rewards[0, 0] == pytest.approx(expected(0))
    assert rewards[:2, 1].tolist() == [0.0, pytest.approx(expected(1))]
    assert np.isnan(rewards[1:, 0]).all() and np.isnan(rewards[2:, 1]).all()
    scores = {(e.step, e.row): e.score for e in env.settled_episodes}
    assert [where for where, score in scores.items() if score is None] == [(2, 1), (3, 0), (3, 1)]
    unanswered = [e for e in env.settled_episodes if e.score is None]
    assert [e.gold_score for e in unanswered] == [0.0, 2.0, 0.0]  # evaluation still knows it
    assert all(not e.reward_terms and not e.episode.rewards for e in unanswered)


def test_late_answers_are_recorded_and_pay_nothing(tmp_path: Path) -> None:
    env = make(1, teacher="delay=1", reward_timing="deferred", teacher_store=str(tmp_path / "f.db"))
    play(env, [EOS])
    assert np.isnan(env.settle_rewards()).all()
    env.step(np.array([EOS]))
    assert np.isnan(env.settle_rewards()).all()  # the first answer came, too late to be paid
    with FeedbackStore(tmp_path / "f.db", create=False) as store:
        (record,) = [item.record for item in store.iterate()]
    assert record.value == pytest.approx(expected(0))  # type: ignore[attr-defined]
    assert (record.round_index, record.details["received_round"]) == (0, 1)


def test_a_mask_covers_the_kl_term_too() -> None:
    env = make(1, build_with_reference, teacher="delay=9", reward_timing="deferred", kl_coef=0.5)
    play(env, [A], [EOS], [A])
    rewards = env.settle_rewards()
    assert np.isnan(rewards[:2]).all()
    assert rewards[2, 0] == pytest.approx(0.5 * np.log(0.2))  # an open episode is as ever


def test_a_budget_that_runs_out_leaves_later_episodes_unanswered(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    env = make(teacher_budget=3, reward_timing="deferred", teacher_store=str(path))
    play(env, [EOS, EOS], [EOS, EOS])
    rewards = env.settle_rewards()
    assert np.isnan(rewards).tolist() == [[False, False], [False, True]]
    play(env, [EOS, EOS])
    assert np.isnan(env.settle_rewards()).all()
    with FeedbackStore(path, create=False) as store:
        assert store.statistics().by_kind == {"score": 3}


def test_prices_are_per_token_where_asked() -> None:
    env = make(1, teacher_budget=5, teacher_prices="score=1,action=1", reward_timing="deferred")
    play(env, [A], [EOS], [EOS])  # 1 + 2 tokens, then 1 + 1
    assert not np.isnan(env.settle_rewards()).any()
    play(env, [EOS])
    assert np.isnan(env.settle_rewards()).all()


@pytest.mark.parametrize(
    "kwargs",
    [
        {"teacher": "delay=1"},
        {"teacher": "delay_spread=1"},
        {"teacher": "skip_rate=0.1"},
        {"teacher": "eps_skip=0.1"},
        {"teacher": "dropout_round=5"},
        {"teacher": "dropout_rate=0.1"},
        {"teacher_budget": 10},
        {"teacher": "delay=1", "reward": "0.5*teacher+0.1*length"},
    ],
)
def test_step_timing_wants_a_teacher_who_always_answers_at_once(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="reward_timing='deferred'"):
        make(**kwargs)
    env = make(**kwargs, reward_timing="deferred")
    with pytest.raises(ValueError, match="reward_timing='deferred'"):
        env.set_reward_timing("step")
    assert env.reward_timing == "deferred"


def test_a_teacher_who_left_answers_nothing_more() -> None:
    env = make(1, teacher="dropout_round=1", reward_timing="deferred")
    play(env, [EOS], [EOS], [EOS])
    assert np.isnan(env.settle_rewards()[:, 0]).tolist() == [False, True, True]


def test_words_are_paid_as_the_critic_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    env = make(1, teacher_feedback="language", teacher_store=str(path))
    rewards = play(env, [A], [B], [EOS], [EOS])
    with FeedbackStore(path, create=False) as store:
        first, second = (item.record for item in store.iterate())
    words = [first.words, second.words]  # type: ignore[attr-defined]
    paid = rewards[rewards != 0]
    np.testing.assert_allclose(paid, rubric_critic().scores(words), rtol=1e-5)
    assert first.details["findings"] == [["repeated", ""]]
    assert paid[0] > paid[1]  # gold 1 and 0


def test_a_sum_is_unanswered_where_its_teacher_is() -> None:
    env = make(reward="2*teacher+length", teacher="delay=1", reward_timing="deferred")
    play(env, [EOS, A], [A, EOS])
    rewards = env.settle_rewards()
    assert rewards[0, 0] == pytest.approx(2 * expected(0))  # the end token has no length
    assert np.isnan(rewards[1, 1])


def test_episodes_that_the_cap_ended_are_not_asked_about_where_they_have_a_score() -> None:
    env = make(1, missing_eos_score=-1.0, teacher_budget=1, reward_timing="deferred")
    play(env, [A], [A], [A], [EOS])
    rewards = env.settle_rewards()[:, 0]
    assert rewards.tolist() == [0.0, 0.0, -1.0, pytest.approx(expected(0))]


def test_a_settlement_that_failed_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(1, teacher_budget=2, reward_timing="deferred")
    play(env, [A], [EOS], [EOS])
    store = env.task.reward.broker.store  # type: ignore[attr-defined]

    def refuse(records: Any) -> None:
        raise StoreError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(store, "append", refuse)
        with pytest.raises(StoreError):
            env.settle_rewards()
    np.testing.assert_allclose(env.settle_rewards()[:, 0], [0, expected(1), expected(0)], rtol=1e-6)


def test_several_people_are_averaged(tmp_path: Path) -> None:
    knobs = "annotators=2,answers_per_query=2,score_noise=0.3"
    path = tmp_path / "feedback.db"
    rewards = play(make(1, teacher=knobs, teacher_store=str(path)), [EOS])
    with FeedbackStore(path, create=False) as store:
        values = [item.record.value for item in store.iterate()]  # type: ignore[attr-defined]
    assert len(values) == 2 and values[0] != values[1]
    assert rewards[0, 0] == pytest.approx(np.mean(values))


def test_rollouts_hold_unanswered_episodes_without_a_score() -> None:
    env = make(2, teacher="skip_rate=0.5", reward_timing="deferred")
    episodes = rollout(env, None, 20, seed=0)
    scores = [episode.score for episode in episodes]
    assert None in scores and any(score is not None for score in scores)
    assert all(episode.gold_score is not None for episode in episodes)
    assert "<table" in episodes._repr_html_()


def test_a_teacher_needs_a_gold_utility_to_know() -> None:
    def without(config: TextEnvConfig) -> TextTask:
        config = replace(config, tokenizer="symbols:p q a b <eos>")
        return text_task(config, prompts=PromptList(["p"]))

    with pytest.raises(ValueError, match="'teacher' needs a task with a gold utility"):
        make(builder=without)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"teacher": "betta=1"}, "did you mean 'beta'"),
        ({"teacher": "beta=often"}, "beta of a teacher must be a number, got 'often'"),
        ({"teacher": "beta"}, "name=value"),
        ({"teacher_feedback": "comparison"}, "teacher_feedback must be one of"),
        ({"teacher_prices": "scores=2"}, "did you mean 'score'"),
        (
            {"teacher_budget": 0.5, "reward_timing": "deferred"},
            "budget 0.5 cannot buy one label",
        ),
    ],
)
def test_bad_arguments_are_named(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_a_restored_teacher_goes_on_alike(tmp_path: Path) -> None:
    kwargs = {
        "teacher": "score_noise=0.3,drift=0.1,delay=1",
        "teacher_budget": 5,
        "teacher_store": str(tmp_path / "feedback.db"),
        "reward_timing": "deferred",
    }
    env = make(1, **kwargs)
    play(env, [EOS], [EOS])
    env.settle_rewards()
    state = json.loads(json.dumps(env.task.reward.state_dict()))  # type: ignore[attr-defined]
    found = []
    for again in (env, make(1, **kwargs)):
        again.task.reward.load_state_dict(state)  # type: ignore[attr-defined]
        play(again, [EOS], [EOS], [EOS], [EOS])
        found.append(again.settle_rewards()[:, 0])
    np.testing.assert_array_equal(found[0], found[1])
    # Five labels in all: of the four questions, three were paid for, and one answer is not due.
    assert np.isnan(found[0]).tolist() == [False, False, False, True]
    with pytest.raises(ValueError, match="saved with the store"):
        make(1).task.reward.load_state_dict(state)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "knobs", ["dropout_round=5", "delay=3,delay_spread=2,dropout_round=400", "skip_rate=0.5"]
)
def test_a_long_run_holds_no_more_than_a_short_one(knobs: str) -> None:
    """What nobody will answer is given up, and its money is free again."""
    env = make(2, teacher=knobs, teacher_budget=10_000, reward_timing="deferred")
    env.reset(seed=0)
    reward: Any = env.task.reward
    sizes, open_questions = [], []
    for rollouts in range(60):
        for _ in range(10):
            env.step(np.array([EOS, EOS]))
        env.settle_rewards()
        if rollouts in (9, 29, 59):
            state = reward.broker.state_dict()
            state["queries"] = {**state["queries"], "closed": []}  # bounded by a number of its own
            sizes.append(len(json.dumps(state)))
        open_questions.append(reward.broker.num_open)
    assert max(open_questions) <= 2 * 5  # two episodes a round, each waited for five rounds at most
    assert max(sizes) < 1.5 * sizes[0] + 1000
    counts, budget = reward.broker.counts, reward.broker.budget
    assert (
        counts["asked"]
        == 1200
        == counts["answered"] + counts["skipped"] + counts["expired"] + (open_questions[-1])
    )
    assert budget.reserved == open_questions[-1]


def test_what_was_answered_is_remembered_up_to_a_number() -> None:
    env = make(1, reward_timing="deferred")
    env.reset(seed=0)
    broker = env.task.reward.broker  # type: ignore[attr-defined]
    broker._open._remembered = 20
    for _ in range(50):
        env.step(np.array([EOS]))
    env.settle_rewards()
    assert broker.counts["answered"] == 50
    assert len(broker.state_dict()["queries"]["closed"]) == 20


def test_answers_can_be_kept_before_the_first_question_only(tmp_path: Path) -> None:
    env = make(1)
    temporary = Path(str(env.task.reward.broker.store._url.database))  # type: ignore[attr-defined]
    env.task.reward.keep_answers(tmp_path / "kept.db")  # type: ignore[attr-defined]
    assert not temporary.exists()
    play(env, [EOS])
    with pytest.raises(ValueError, match="expected a store before the first question"):
        other = make(1)
        play(other, [EOS])
        other.task.reward.keep_answers(tmp_path / "late.db")  # type: ignore[attr-defined]
    env.task.reward.keep_answers(tmp_path / "ignored.db")  # type: ignore[attr-defined]
    assert not (tmp_path / "ignored.db").exists()  # it has a place that stays
    with FeedbackStore(tmp_path / "kept.db", create=False) as store:
        assert store.statistics().by_kind == {"score": 1}


def test_the_store_of_an_environment_without_a_path_goes_with_it() -> None:
    env = make(1)
    play(env, [EOS])
    folder = Path(str(env.task.reward.broker.store._url.database)).parent  # type: ignore[attr-defined]
    assert folder.is_dir()
    del env
    gc.collect()
    assert not folder.exists()
