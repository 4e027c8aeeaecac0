"""What a comparison of CartPole's segments can say."""

from __future__ import annotations

import gymnasium as gym

import textgym  # noqa: F401


def test_only_the_end_tells_segments_apart() -> None:
    """Each step truly pays 1: equal lengths are ties, and an early end is worth less."""
    env = gym.make("RLHF-CartPole-v0", segment_length=4)
    env.reset(seed=0)
    while not env.step(0)[2]:  # always to the left: falls soon
        pass
    golds = [s.as_response().gold_score for s in env.get_wrapper_attr("feedback").pool.all()]
    assert golds[:-1] == [4.0] * (len(golds) - 1) and 0 < golds[-1] <= 4.0
    segments = env.get_wrapper_attr("feedback").pool.all()
    assert [segment.terminated for segment in segments] == [False] * (len(golds) - 1) + [True]


def test_the_best_known_rule_holds_the_pole() -> None:
    env = gym.make("RLHF-CartPole-v0")
    env.reset(seed=3)
    info, is_end = {}, False
    while not is_end:
        action = env.get_wrapper_attr("best_known_action")()
        _, _, terminated, is_end, info = env.step(action)
        assert not terminated
    assert info["gold_score"] == 500.0
