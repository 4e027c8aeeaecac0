"""Tokens of an iteration, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from textgym.agents import PPO
from textgym.agents.rollouts.iteration_shape import (
    IterationShape,
    iteration_shape,
    mean_of_longest,
)

MakeEnv = Callable[..., Any]


def test_tokens_of_an_iteration_by_hand() -> None:
    shape = IterationShape(
        prompt_tokens=10,
        response_tokens=4,
        width=18,
        n_envs=3,
        n_steps=8,
        batch_size=12,
        is_cut=False,
    )
    # Two episodes of 14 tokens in each of 3 rows; 24 transitions in minibatches of 12.
    assert shape.rollout_tokens == 84 and shape.n_minibatches == 2
    assert shape.minibatch_tokens == 42 and shape.actions_per_token == pytest.approx(24 / 84)
    assert replace(shape, is_cut=True).rollout_tokens == 84 + 3 * 12
    assert replace(shape, batch_size=None).minibatch_tokens == 84


def test_groups_wait_and_share_their_prompts_by_hand() -> None:
    shape = IterationShape(
        prompt_tokens=10,
        response_tokens=4,
        width=18,
        n_envs=4,
        n_steps=8,
        batch_size=12,
        is_cut=False,
        group_size=2,
        busy=0.75,
    )
    # Three quarters of 32 steps; episodes of 4 steps and so 6 of 14 tokens, in two minibatches.
    assert shape.n_transitions == 24 and shape.rollout_tokens == 84
    assert shape.segments_per_prompt == 2
    # Three segments of a minibatch: one and a half draws from two prompts.
    few = replace(shape, n_prompts=2)
    assert few.segments_per_prompt == pytest.approx(2 * 1.5 / (2 * (1 - 0.5**1.5)))
    assert replace(shape, n_prompts=10**6).segments_per_prompt == pytest.approx(2, rel=1e-5)


def test_the_longest_of_several_by_enumeration() -> None:
    lengths = np.array([3, 1, 6])
    pairs = [max(a, b) for a in lengths for b in lengths]
    assert mean_of_longest(lengths, 2) == pytest.approx(np.mean(pairs))
    assert mean_of_longest(lengths, 1) == pytest.approx(lengths.mean())


def test_a_fresh_model_is_taken_not_to_end(make_text_env: MakeEnv) -> None:
    env = make_text_env(num_envs=2)
    longest = env.unwrapped.max_new_tokens
    kwargs = {"model": "scratch:llama,layers=1,width=8,heads=2"}
    fresh = PPO("TransformerPolicy", env, n_steps=longest, policy_kwargs=kwargs, seed=0)
    assert iteration_shape(fresh).response_tokens == longest
    assert not iteration_shape(fresh).is_cut
    trained = PPO("TransformerPolicy", env, n_steps=longest, seed=0)
    assert iteration_shape(trained).response_tokens == longest / 2
    assert iteration_shape(trained).is_cut


def test_others_write_as_much_as_people_do() -> None:
    env = gym.make_vec("RLHF-Summarize-v0", num_envs=2)
    task = env.unwrapped.task  # type: ignore[attr-defined]
    lengths = [
        min(
            len(task.tokenizer.encode(task.prompts[i].references[0])) + 1,
            task.config.max_new_tokens,
        )
        for i in range(32)
    ]
    agent = PPO("TransformerPolicy", env, seed=0)
    assert iteration_shape(agent).response_tokens == pytest.approx(sum(lengths) / 32)
