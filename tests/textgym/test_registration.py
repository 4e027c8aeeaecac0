"""A user's own environment: from a file and from functions, with tiny random models."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym.task_models import Bundle


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module that a user would have, and return its name."""
    source = """
        from textgym.types import Prompt

        def questions():
            return ["my boss is angry", {"prompt": "we argued", "reference": "an argument"}]

        def by_split(split, data_seed):
            return [f"{split} {data_seed}"]

        def nothing():
            return []

        def count_a(episodes):
            return [float(e.response.count("a")) for e in episodes]

        from textgym.turns import Reply

        class Echo:
            max_turn_tokens, max_reply_tokens = 3, 12

            def __init__(self, tokenizer):
                self.tokenizer = tokenizer

            def replies(self, episodes):
                end = Reply(finish_reason="heard")
                return [end if e.num_turns == 2 else Reply(ids=e.turns[-1].ids) for e in episodes]

        def nobody(tokenizer):
            return tokenizer

        def not_finite(episodes):
            return [float("nan") for _ in episodes]

        def inner():
            def local(episodes):
                return []
            return local
    """
    (tmp_path / "user_task_module.py").write_text(textwrap.dedent(source), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "user_task_module"


@pytest.fixture(autouse=True)
def _forget_ids() -> object:
    before = set(gym.registry)
    yield
    for name in set(gym.registry) - before:
        del gym.registry[name]


def test_functions_and_models_pass_the_battery(
    user_module: str, tiny_model_folder: Path, tiny_reward_folder: Path
) -> None:
    textgym.register_text_env(
        "Mine-v0",
        prompts=f"{user_module}:questions",
        reward=f"0.5*model+0.5*{user_module}:count_a",
        reference_model=str(tiny_model_folder),
        reward_model=str(tiny_reward_folder),
        max_prompt_tokens=24,
        max_new_tokens=6,
        device="cpu",
    )
    textgym.check_text_env("Mine-v0", num_steps=25, temperature=0.7)


def test_function_objects_become_names(user_module: str, tiny_model_folder: Path) -> None:
    module = __import__(user_module)
    textgym.register_text_env(
        "Mine-v1",
        prompts=module.questions,
        reward=module.count_a,
        tokenizer=str(tiny_model_folder),
        max_new_tokens=4,
    )
    kwargs = gym.spec("Mine-v1").kwargs
    assert kwargs["dataset"] == "user_task_module:questions"
    assert kwargs["reward"] == "user_task_module:count_a"
    env = gym.make("Mine-v1")
    _, info = env.reset(options={"prompt_id": 1})
    assert info["prompt"] == "we argued"
    assert env.unwrapped.task.prompts[1].references == ("an argument",)
    assert "ref_log_prob" not in env.step(3)[4]  # no reference model was named


def test_a_function_gets_the_parameters_it_asks_for(
    user_module: str, tiny_model_folder: Path
) -> None:
    textgym.register_text_env(
        "Mine-v2",
        prompts=f"{user_module}:by_split",
        reward="length",
        tokenizer=str(tiny_model_folder),
        split="test",
        data_seed=7,
    )
    assert gym.make("Mine-v2").reset()[1]["prompt"] == "test 7"


def test_lambdas_and_inner_functions_are_refused(user_module: str) -> None:
    inner = __import__(user_module).inner()
    with pytest.raises(ValueError, match="top level of a module"):
        textgym.register_text_env("Mine-v3", prompts=lambda: ["a"], reward="length")
    with pytest.raises(ValueError, match="inner.<locals>.local"):
        textgym.register_text_env("Mine-v3", prompts="x.jsonl", reward=inner)
    with pytest.raises(TypeError, match=r"function that returns them, got list: \['a', 'b'\]"):
        textgym.register_text_env("Mine-v3", prompts=["a", "b"])
    with pytest.raises(TypeError, match="'max_new_token'.*max_new_tokens"):
        textgym.register_text_env("Mine-v3", prompts="x.jsonl", reward="length", max_new_token=3)
    assert "Mine-v3" not in gym.registry


def test_file_without_a_line_of_code(tmp_path: Path, tiny_model_folder: Path) -> None:
    file = tmp_path / "data.jsonl"
    rows = [{"source": ["One.", "Two."], "target": ["a one", "b two"]}] * 2
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    textgym.register_text_env(
        "Mine-v4",
        prompts=file,
        reward="rouge",
        dataset_columns="prompt=source,reference=target",
        prompt_template="{prompt}\n\nTL;DR:",
        reference_model=str(tiny_model_folder),
        max_prompt_tokens=32,
        max_new_tokens=3,
    )
    env = gym.make("Mine-v4")
    _, info = env.reset()
    assert info["prompt"] == "One. Two.\n\nTL;DR:"
    for _ in range(3):
        _, _, ended, _, info = env.step(20)
    assert ended and set(info["reward_terms"]) == {"rouge", "kl"}
    with pytest.raises(ValueError, match="gold"):
        gym.make("Mine-v4", reward="gold")


def test_bad_input_is_named(user_module: str, tiny_model_folder: Path, tmp_path: Path) -> None:
    textgym.register_text_env(
        "Mine-v5",
        prompts=f"{user_module}:questions",
        reward=f"{user_module}:not_finite",
        tokenizer=str(tiny_model_folder),
        max_new_tokens=1,
    )
    env = gym.make("Mine-v5")
    env.reset()
    with pytest.raises(ValueError, match="'not_finite' gave nan"):
        env.step(3)
    with pytest.raises(ValueError, match="holds no prompts"):
        gym.make("Mine-v5", dataset=f"{user_module}:nothing")
    with pytest.raises(ValueError, match="no_such"):
        gym.make("Mine-v5", reward=f"{user_module}:no_such")
    with pytest.raises(ValueError, match="tokenizer=..."):
        gym.make("Mine-v5", tokenizer=None)
    with pytest.raises(FileNotFoundError, match="gone.jsonl"):
        gym.make("Mine-v5", dataset=str(tmp_path / "gone.jsonl"))
    with pytest.raises(TypeError, match="'temprature'.*'temperature'"):
        gym.make("Mine-v5", temprature=1.0)


def test_a_missing_bundle_names_the_command(tmp_path: Path) -> None:
    bundle = Bundle(env_id="RLHF-Summarize-v0", folder=tmp_path)
    with pytest.raises(ValueError, match="textgym build RLHF-Summarize-v0"):
        bundle.path_of("reference_model")


def test_end_tokens_come_from_the_generation_config_too(
    user_module: str, tiny_model_folder: Path, tmp_path: Path
) -> None:
    for file in tiny_model_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 9]}', encoding="utf-8")
    textgym.register_text_env(
        "Mine-v6",
        prompts=f"{user_module}:questions",
        reward="length",
        tokenizer=str(tiny_model_folder),
        reference_model=str(tmp_path),
    )
    env = gym.make("Mine-v6")
    assert {5, 9} <= set(env.unwrapped.eos_ids)
    env.reset(seed=0)
    assert env.step(9)[2]


def test_padded_vocabulary_of_the_reference_is_cut_off(
    user_module: str, make_model_folder: object
) -> None:
    folder = make_model_folder("llama", vocab_size=512)  # type: ignore[operator]
    textgym.register_text_env(
        "Mine-v7",
        prompts=f"{user_module}:questions",
        reward="length",
        reference_model=str(folder),
        device="cpu",
    )
    env = gym.make("Mine-v7")
    core = env.unwrapped
    obs, info = env.reset(seed=0)
    length = info["prompt_length"]
    assert env.action_space.n == core.vocab_size < 512
    reference = core.task.make_reference(core.vocab_size, obs.size)
    rows = np.repeat(obs[None], core.vocab_size, axis=0)
    log_probs = reference.step_log_probs(
        rows, np.full(core.vocab_size, length), np.arange(core.vocab_size)
    )
    assert np.exp(log_probs).sum() == pytest.approx(1.0, abs=1e-5)


def test_an_environment_that_answers_is_one_argument_more(
    user_module: str, tiny_model_folder: Path
) -> None:
    settings = {"prompts": f"{user_module}:questions", "reward": f"{user_module}:count_a"}
    models = {"reference_model": str(tiny_model_folder), "max_new_tokens": 8, "device": "cpu"}
    textgym.register_text_env("Echo-v0", responder=f"{user_module}:Echo", **settings, **models)
    textgym.check_text_env("Echo-v0", num_envs=2, num_steps=20)
    env = gym.make("Echo-v0", max_prompt_tokens=20)
    assert env.observation_space.shape == (20 + 8 + 12,)
    env.reset(seed=0)
    for _ in range(6):
        _, _, terminated, _, info = env.step(40)
    assert terminated and info["finish_reason"] == "heard"
    assert info["response_ids"] == (40,) * 9
    assert info["response_is_action"] == (True,) * 3 + (False,) * 3 + (True,) * 3
    with pytest.raises(ValueError, match="must return a Responder .*, got TextTokenizer"):
        gym.make("Echo-v0", responder=f"{user_module}:nobody")
