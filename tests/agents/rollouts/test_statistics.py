"""Metrics against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from textgym.agents.rollouts.statistics import EpisodeEnd, EpisodeTally, rollout_metrics


def count(tally: EpisodeTally, is_done: list[list[bool]], **kwargs: object) -> list:
    done = np.array(is_done)
    ones = np.ones(done.shape)
    arguments = {
        "rewards": ones,
        "log_probs": -2 * ones,
        "ref_log_probs": -3 * ones,
        "is_valid": np.ones(done.shape, bool),
        "ends": [],
    }
    return tally.count(is_done=done, **{**arguments, **kwargs})


def test_an_episode_over_two_rollouts() -> None:
    tally = EpisodeTally(2)
    first = count(tally, [[False, True], [False, False]])
    assert [(e.end.row, e.n_tokens, e.env_return, e.kl) for e in first] == [(1, 1, 1.0, 1.0)]
    second = count(tally, [[True, False], [False, True]])
    found = [(e.end.step, e.end.row, e.n_tokens, e.kl) for e in second]
    assert found == [(0, 0, 3, 3.0), (1, 1, 3, 3.0)]


def test_settled_sums_replace_unknown_steps() -> None:
    tally = EpisodeTally(1)
    end = EpisodeEnd(step=1, row=0, score=4.0, finish_reason="eos", ref_log_prob=-7.0)
    (episode,) = count(tally, [[False], [True]], ref_log_probs=None, ends=[end])
    assert episode.kl == pytest.approx(-4.0 + 7.0) and episode.end.score == 4.0
    (unknown,) = count(tally, [[True]], ref_log_probs=None)
    assert unknown.kl is None


def test_waiting_steps_do_not_count() -> None:
    tally = EpisodeTally(1)
    valid = np.array([[True], [False], [True]])
    episodes = count(tally, [[True], [False], [True]], is_valid=valid)
    assert [e.n_tokens for e in episodes] == [1, 1]


def test_metrics_by_hand() -> None:
    tally = EpisodeTally(2)
    ends = [
        EpisodeEnd(step=0, row=0, score=1.0, gold_score=0.5, finish_reason="eos"),
        EpisodeEnd(step=0, row=1, score=3.0, finish_reason="length"),
    ]
    episodes = count(tally, [[True, True]], ends=ends, rewards=np.array([[1.0, 5.0]]))
    got = rollout_metrics(episodes, kl_coef=0.5, log_probs=np.array([-1.0, -3.0]))
    assert got == {
        "rollout/score": 2.0,
        "rollout/score_std": 1.0,
        "rollout/gold_score": 0.5,
        "rollout/kl": 1.0,
        "rollout/kl_coef": 0.5,
        "rollout/reward": (1.0 + 1.0 + 5.0 + 1.0) / 2,
        "rollout/response_tokens": 1.0,
        "rollout/eos_rate": 0.5,
        "rollout/entropy": 2.0,
        "rollout/episodes": 2.0,
    }


def test_reasons_of_environments_that_answer_are_counted() -> None:
    reasons = ("solved", "given_up", "solved", "length")
    ends = [EpisodeEnd(step=0, row=i, finish_reason=reason) for i, reason in enumerate(reasons)]
    episodes = count(EpisodeTally(4), [[True] * 4], ends=ends)
    got = rollout_metrics(episodes, kl_coef=0.5, log_probs=np.array([-1.0]))
    ended = {name: value for name, value in got.items() if "ended" in name}
    assert ended == {"rollout/ended_solved": 0.5, "rollout/ended_given_up": 0.25}


def test_no_episode_leaves_means_out() -> None:
    got = rollout_metrics([], kl_coef=0.5, log_probs=np.array([-1.0]))
    assert set(got) == {"rollout/kl_coef", "rollout/entropy", "rollout/episodes"}
