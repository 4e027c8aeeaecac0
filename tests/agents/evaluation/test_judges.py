"""Judges by name, and the warning of the judge that was trained against."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest

from textgym.agents.evaluation.judges import GoldJudge, judge_named, reward_judge
from textgym.config import TextEnvConfig
from textgym.envs_registry.exact_kl import ExactKLVectorEnv
from textgym.tokenizer import load_tokenizer
from textgym.types import Episode, Prompt


def probe_task(**changes):
    """A task of no models; the config is a plain one, since the probe's own refuses any."""
    return replace(ExactKLVectorEnv(num_envs=1).task, config=TextEnvConfig(**changes))


def tiny_task(tokenizer_folder, **changes):
    tokenizer = load_tokenizer(tokenizer_folder)
    task = probe_task(**changes)
    return replace(task, tokenizer=tokenizer)


def answered(prompt_id, response, reference, ids=(1,)):
    return Episode(
        prompt=Prompt(prompt_id=prompt_id, text="p", references=(reference,)),
        prompt_ids=(0,),
        response_ids=ids,
        response=response,
        finish_reason="eos",
    )


def test_gold_is_the_default_where_the_task_has_it():
    task = probe_task()
    assert judge_named(None, task) is None
    assert isinstance(judge_named(None, replace(task, gold=task.reward)), GoldJudge)
    assert judge_named("gold", replace(task, gold=task.reward)).name == "gold"


def test_a_metric_judges_against_the_references():
    judge = judge_named("metric:rouge", probe_task())
    ours = [answered(0, "the cat sat", "the cat sat"), answered(1, "no", "the dog")]
    theirs = [answered(0, "a cow", "the cat sat"), answered(1, "the dog", "the dog")]
    assert judge.preferences(ours, theirs).tolist() == [1.0, 0.0]
    assert judge.name == "metric:rouge"


@pytest.mark.parametrize(
    "name", ["golden", "metric:", "metric:rogue", "reward-model", "reward-model:", "rouge"]
)
def test_an_unknown_judge_lists_what_there_is(name):
    with pytest.raises(ValueError, match=f"judge must be .*got '{name}'"):
        judge_named(name, probe_task())


def test_gold_needs_a_task_that_has_it():
    with pytest.raises(ValueError, match="this one has none"):
        judge_named("gold", probe_task())


def test_a_reward_model_judges(tiny_reward_folder, tiny_tokenizer_folder):
    task = tiny_task(tiny_tokenizer_folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge = judge_named(f"reward-model:{tiny_reward_folder}", task)
    dog, money = answered(0, "the dog", "", (20, 21)), answered(0, "money", "", (40,))
    scores = judge.reward([dog, money])
    assert scores[0] != scores[1]
    assert judge.preferences([dog, dog], [money, dog]).tolist() == [scores[0] > scores[1], 0.5]


def test_the_model_that_was_trained_against_warns(tiny_reward_folder, tiny_tokenizer_folder):
    task = tiny_task(tiny_tokenizer_folder, reward_model=str(tiny_reward_folder))
    with pytest.warns(UserWarning, match="trained against"):
        judge_named(f"reward-model:{tiny_reward_folder}/../{tiny_reward_folder.name}", task)
    with pytest.warns(UserWarning, match="trained against"):
        reward_judge(task)
