"""Demonstrations and corrections, action by action, and a policy that learns from them."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from textgym.feedback import (
    Annotator,
    Correction,
    Demonstration,
    FeedbackRecord,
    PromptText,
    Response,
    Score,
    Segment,
)
from textgym.feedback.segments import NO_PROMPT
from textgym.feedback.taught_actions import TaughtAction, taught_actions

ANN = Annotator(id="ann", kind="human")
PROMPT = PromptText(text="Q:", token_ids=(7, 8))
SAMPLED = Response(prompt=PROMPT, text="ab", token_ids=(1, 2))
BETTER = Response(prompt=PROMPT, text="c", token_ids=(3,))


def trajectory(*steps: tuple[tuple[float, ...], int]) -> Response:
    observations, actions = zip(*steps, strict=True)
    segment = Segment(observations=observations, actions=actions)
    return Response(prompt=NO_PROMPT, text="", segment=segment)


def test_tokens_by_hand() -> None:
    records: list[FeedbackRecord] = [
        Demonstration(annotator=ANN, response=SAMPLED),
        Correction(annotator=ANN, response=SAMPLED, better=BETTER),
        Correction(annotator=ANN, response=SAMPLED, action_index=1, better_action=9),
        Score(annotator=ANN, response=SAMPLED, value=1.0),
    ]
    assert list(taught_actions(records)) == [
        TaughtAction(seen=(7, 8), action=1),
        TaughtAction(seen=(7, 8, 1), action=2),
        TaughtAction(seen=(7, 8), action=3),
        TaughtAction(seen=(7, 8, 1), action=9),
    ]


def test_steps_of_trajectories_by_hand() -> None:
    played = trajectory(((0.0, 1.0), 0), ((0.5, 1.0), 1))
    records = [
        Demonstration(annotator=ANN, response=played),
        Correction(annotator=ANN, response=played, action_index=1, better_action=0),
    ]
    assert [(taught.seen, taught.action) for taught in taught_actions(records)] == [
        ((0.0, 1.0), 0),
        ((0.5, 1.0), 1),
        ((0.5, 1.0), 0),
    ]


def test_text_without_ids_is_refused_by_its_record() -> None:
    written = Response(prompt=PROMPT, text="by hand")
    for record in (
        Demonstration(annotator=ANN, response=written, record_id="r1"),
        Correction(
            annotator=ANN, response=written, action_index=0, better_action=1, record_id="r1"
        ),
    ):
        with pytest.raises(ValueError, match=r"token ids of prompt and response in record 'r1'"):
            list(taught_actions([record]))


def test_a_policy_learns_the_corrected_actions() -> None:
    env = gym.make("CartPole-v1")
    agent = PPO("MlpPolicy", env, seed=0, device="cpu", n_steps=32, batch_size=32)
    generator = np.random.default_rng(0)
    seen = generator.normal(size=(64, 4)).astype(np.float32)
    should = (seen[:, 2] > 0).astype(int)  # push to where the pole leans
    records = [
        Correction(
            annotator=ANN,
            response=trajectory((tuple(observation.tolist()), 1 - int(action))),
            action_index=0,
            better_action=int(action),
        )
        for observation, action in zip(seen, should, strict=True)
    ]
    taught = list(taught_actions(records))
    observations = torch.tensor([one.seen for one in taught])
    actions = torch.tensor([one.action for one in taught])
    optimizer = torch.optim.Adam(agent.policy.parameters(), lr=1e-2)
    for _ in range(60):
        _, log_prob, _ = agent.policy.evaluate_actions(observations, actions)
        optimizer.zero_grad()
        (-log_prob.mean()).backward()
        optimizer.step()
    fresh = generator.normal(size=(200, 4)).astype(np.float32)
    chosen, _ = agent.predict(fresh, deterministic=True)
    assert np.mean(chosen == (fresh[:, 2] > 0)) > 0.85
