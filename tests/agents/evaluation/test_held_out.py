"""Evaluation on held-out prompts: what is played, log-probabilities step by step, wins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import textgym  # noqa: F401  (registers the environments)
from textgym.agents.evaluation.held_out import (
    EvaluationConfig,
    evaluate,
    held_out_prompts,
    make_evaluation_env,
    response_log_probs,
    win_rate,
)
from textgym.agents.evaluation.judges import GoldJudge, RewardJudge
from textgym.agents.policies import TransformerPolicy
from textgym.rollout import rollout
from textgym.types import Episode, Prompt

PROBE = "Probe-ExactKL-v0"


def make_policy(env, seed=0, temperature=1.0, **kwargs):
    core = env.unwrapped
    return TransformerPolicy(
        env.single_observation_space,
        env.single_action_space,
        lambda _: 0.0,
        model="scratch:layers=1,width=16,heads=2",
        action_tokens=tuple(core.action_tokens),
        eos_ids=core.eos_ids,
        temperature=temperature,
        seed=seed,
        **kwargs,
    )


def episode(prompt_id, response="a b", gold_score=None):
    return Episode(
        prompt=Prompt(prompt_id=prompt_id, text="p"),
        prompt_ids=(0,),
        response_ids=(1, 2),
        response=response,
        finish_reason="eos",
        gold_score=gold_score,
    )


def test_ties_count_half():
    ours = [episode(i, gold_score=g) for i, g in enumerate((1.0, 0.0, 0.5, 0.5))]
    theirs = [episode(i, gold_score=g) for i, g in enumerate((0.0, 1.0, 0.5, 0.0))]
    assert win_rate(GoldJudge(), ours, theirs).mean == pytest.approx((1 + 0 + 0.5 + 1) / 4)


class CountsWords:
    name = "words"

    def __call__(self, episodes):
        return np.array([len(e.response.split()) for e in episodes], dtype=np.float32)


def test_a_reward_function_judges():
    ours = [episode(0, response="one two"), episode(1, response="one")]
    theirs = [episode(0, response="one"), episode(1, response="uno")]
    judge = RewardJudge("metric:words", CountsWords())
    assert judge.preferences(ours, theirs).tolist() == [1.0, 0.5]


def test_judges_refuse_what_they_cannot_compare():
    with pytest.raises(ValueError, match="same prompts"):
        GoldJudge().preferences([episode(0, gold_score=1.0)], [episode(1, gold_score=1.0)])
    with pytest.raises(ValueError, match="gold score, got none for prompt_id 3"):
        GoldJudge().preferences([episode(3)], [episode(3)])


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_are_those_of_the_policy_step_by_step(temperature):
    env = make_evaluation_env(PROBE, EvaluationConfig(num_envs=4, temperature=temperature))
    policy = make_policy(env, temperature=temperature)
    episodes = rollout(env, policy, 12, seed=0)
    found = response_log_probs(policy, episodes, env.unwrapped.action_tokens, 6)
    for one, log_probs in zip(episodes, found, strict=True):
        state = list(one.prompt_ids)
        for token, log_prob in zip(one.response_ids, log_probs, strict=True):
            observation = torch.full((1, 5), 6)
            observation[0, : len(state)] = torch.tensor(state)
            expected = policy.get_distribution(observation).log_prob(torch.tensor([token]))
            assert log_prob == pytest.approx(expected.item(), abs=1e-5)
            state.append(token)


def test_action_subsets_are_translated():
    env = make_evaluation_env(PROBE, EvaluationConfig(num_envs=2), action_tokens="2,4,5")
    policy = make_policy(env)
    episodes = rollout(env, policy, 6, seed=0)
    assert {t for e in episodes for t in e.response_ids} <= {2, 4, 5}
    found = response_log_probs(policy, episodes, env.unwrapped.action_tokens, 6)
    assert [len(x) for x in found] == [len(e.response_ids) for e in episodes]
    assert all((x < 0).all() for x in found)


def test_evaluate_measures_held_out_prompts():
    config = EvaluationConfig(n_prompts=8, num_envs=4)
    env = make_evaluation_env(PROBE, config, kl_coef=0.5)
    assert env.unwrapped.kl_coef == 0.0
    assert env.unwrapped.config.split == "validation"
    result = evaluate(env, make_policy(env), config)
    assert held_out_prompts(env, config) == [0] * 8  # the probe has one prompt
    assert set(result.metrics) == {"score", "kl", "length", "eos_rate", "ref_perplexity"}
    scores = [episode.rewards[-1] for episode in result.episodes]
    assert result.metrics["score"].mean == pytest.approx(np.mean(scores))
    lengths = [len(episode.response_ids) for episode in result.episodes]
    assert result.as_dict()["metrics"]["length"]["mean"] == np.mean(lengths)


def test_evaluate_judges_against_the_reference():
    config = EvaluationConfig(n_prompts=1)
    env = make_evaluation_env(PROBE, config)
    policy = make_policy(env)
    theirs = evaluate(env, policy, config).episodes
    judge = RewardJudge("score", env.unwrapped.task.reward)
    result = evaluate(env, policy, config, reference_episodes=theirs, judge=judge)
    assert result.judge == "score"
    assert result.metrics["win_rate"].mean in (0.0, 0.5, 1.0)


def test_greedy_takes_the_most_likely_token():
    config = EvaluationConfig(n_prompts=1, greedy=True)
    env = make_evaluation_env(PROBE, config)
    policy = make_policy(env)
    responses = {evaluate(env, policy, config).episodes[0].response_ids for _ in range(3)}
    assert len(responses) == 1


@pytest.mark.parametrize(
    "changes", [{"n_prompts": 0}, {"num_envs": 0}, {"temperature": 0.0}, {"temperature": -1.0}]
)
def test_bad_settings_are_named(changes):
    name, value = next(iter(changes.items()))
    with pytest.raises(ValueError, match=f"{name} must be .*{value}"):
        EvaluationConfig(**changes)
