"""The reference model beside a policy on the same held-out prompts."""

from __future__ import annotations

import json

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym.agents.evaluation.before_after import (
    compare_with_reference,
    comparison_table,
    pairs_text,
    sample_pairs,
)
from textgym.agents.evaluation.held_out import EvaluationConfig, make_evaluation_env
from textgym.agents.evaluation.judges import judge_named
from textgym.agents.evaluation.policy_sources import (
    language_model_policy,
    policy_from,
    reference_policy,
)
from textgym.tokenizer import load_tokenizer, train_sentencepiece

ENV_ID = "Tiny-BeforeAfter-v0"
CONFIG = EvaluationConfig(n_prompts=6, num_envs=4)


@pytest.fixture
def tiny_env(tmp_path, tiny_model_folder):
    """An environment whose reference is a random two-layer Llama, with a human reference each."""
    rows = [
        {"prompt": f"my friend said {word}.\n\nTL;DR:", "reference": "my friend"}
        for word in ("the dog", "the house", "money", "the trip", "34", "rude", "nice", "500")
    ]
    file = tmp_path / "posts.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    textgym.register_text_env(
        ENV_ID,
        prompts=file,
        reward="length",
        reference_model=str(tiny_model_folder),
        max_prompt_tokens=40,
        max_new_tokens=6,
    )
    yield make_evaluation_env(ENV_ID, CONFIG)
    gym.registry.pop(ENV_ID)


def rouge_judge(env):
    return judge_named("metric:rouge", env.unwrapped.task)


def test_the_reference_is_at_distance_zero_of_itself(tiny_env):
    policy = reference_policy(tiny_env, seed=3)
    result = compare_with_reference(tiny_env, policy, CONFIG, rouge_judge(tiny_env))
    for side in (result.before, result.after):
        kl = side.metrics["kl"]
        assert max(abs(kl.low), abs(kl.high)) < 1e-4
    prompts = [episode.prompt.prompt_id for episode in result.after.episodes]
    assert prompts == [episode.prompt.prompt_id for episode in result.before.episodes]
    assert len(prompts) == CONFIG.n_prompts
    assert "win_rate" not in result.before.metrics
    assert 0 <= result.after.metrics["win_rate"].mean <= 1


def test_another_model_is_at_a_distance(tiny_env, make_model_folder):
    other = policy_from(make_model_folder("llama", seed=5), tiny_env)
    result = compare_with_reference(tiny_env, other, CONFIG)
    assert result.after.metrics["kl"].mean > 0.1
    assert result.after.judge is None


def test_the_table_and_the_pairs_say_what_was_measured(tiny_env, make_model_folder):
    other = language_model_policy(tiny_env, make_model_folder("llama", seed=5))
    result = compare_with_reference(tiny_env, other, CONFIG, rouge_judge(tiny_env))
    table = comparison_table(result, ("score", "kl", "win_rate"))
    score = result.after.metrics["score"]
    assert f"{score.mean:.3f} ± {score.half_width:.3f}" in table
    assert "6 held-out responses" in table
    assert "wins judged by metric:rouge" in table
    assert "ROUGE-L" not in table
    assert "ROUGE-L" in comparison_table(result)
    pairs = sample_pairs(result, 2)
    assert [pair["prompt_id"] for pair in pairs] == [0, 1]
    text = pairs_text(pairs)
    assert pairs[0]["prompt"].strip() in text
    assert pairs[1]["trained"]["response"].strip() in text
    numbers = result.as_dict()
    assert json.loads(json.dumps(numbers)) == numbers


def test_a_task_without_a_reference_model_has_no_before():
    env = make_evaluation_env("Probe-ExactKL-v0", CONFIG)
    policy = language_model_policy(env, "scratch:layers=1,width=16,heads=2")
    result = compare_with_reference(env, policy, CONFIG)
    assert result.before is None
    pairs = sample_pairs(result)
    assert [sorted(pair) for pair in pairs] == [["prompt", "prompt_id", "trained"]] * 2
    assert "reference" not in pairs_text(pairs)
    assert "reference  " not in comparison_table(result).splitlines()[0]


def test_sampling_is_seeded(tiny_env):
    first, second = (
        compare_with_reference(tiny_env, reference_policy(tiny_env, seed=3), CONFIG)
        for _ in range(2)
    )
    responses = [[e.response_ids for e in result.after.episodes] for result in (first, second)]
    assert responses[0] == responses[1]
    others = [e.response_ids for e in first.before.episodes]
    assert not np.array_equal(others, responses[0])


def test_a_model_with_other_tokens_is_refused(tiny_env, make_model_folder, tmp_path):
    folder = tmp_path / "other"
    train_sentencepiece(["completely different words here " * 3] * 50, folder, 300)
    source = make_model_folder("llama", seed=5)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((source / name).read_bytes())
    assert load_tokenizer(folder).fingerprint != tiny_env.unwrapped.tokenizer.fingerprint
    with pytest.raises(ValueError, match="other tokens.*reference_model="):
        policy_from(folder, tiny_env)


def test_what_is_no_model_is_named(tiny_env, tmp_path):
    with pytest.raises(ValueError, match="nothing-here"):
        policy_from(tmp_path / "nothing-here", tiny_env)
