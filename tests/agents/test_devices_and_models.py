"""Devices that are not there, types that they lack, models that caches cannot serve: end to end."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

from textgym.agents import PPO, TransformerPolicy
from textgym.cli.main import main
from textgym.config import TextEnvConfig
from textgym.models.decoding import FullDecoder
from textgym.prompts import PromptList
from textgym.task import TextTask
from textgym.task_models import text_task
from textgym.vector_env import TokenVectorEnv


def build_task(config: TextEnvConfig) -> TextTask:
    """A task whose prompts are longer than the window of the model under test, or as short."""
    texts = ["the house sister brother trip offered dog", "a dog"]
    return text_task(config, prompts=PromptList(texts))


@pytest.fixture
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(th.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("_no_gpu")
def test_cuda_without_a_gpu_is_an_error_and_never_the_cpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "device 'cuda' is not available here; expected 'auto' or one of"
    with pytest.raises(ValueError, match=message):
        PPO("TransformerPolicy", "Probe-ExactKL-v0", device="cuda")
    with pytest.raises(ValueError, match=message):
        gym.make_vec("RLHF-Summarize-v0", num_envs=2, device="cuda")
    agent = PPO("TransformerPolicy", "Probe-ExactKL-v0", device="cpu", n_envs=2)
    agent.save(tmp_path / "agent")
    with pytest.raises(ValueError, match=message):
        PPO.load(tmp_path / "agent", device="cuda")
    with pytest.raises(ValueError, match=message):
        TransformerPolicy.load(tmp_path / "agent", device="cuda")
    capsys.readouterr()
    output = str(tmp_path / "run")
    assert main(["train", "RLHF-Summarize-v0", "--device", "cuda", "--output", output]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and message in errors[0]
    assert not Path(output).exists()


def test_bfloat16_where_it_is_lacking(
    monkeypatch: pytest.MonkeyPatch, tiny_model_folder: Path, make_text_env: Any
) -> None:
    """The policy asks the device that it was moved to."""

    def refuse(dtype: th.dtype, device: th.device) -> None:
        raise ValueError(f"{device} has no {dtype}")

    monkeypatch.setattr("textgym.agents.policies.policy_networks.check_dtype_on", refuse)
    env = make_text_env(num_envs=2)
    for dtype in ("bfloat16", "bfloat16-weights"):
        with pytest.raises(ValueError, match="cpu has no torch.bfloat16"):
            PPO("TransformerPolicy", env, device="cpu", policy_kwargs={"dtype": dtype})
    PPO("TransformerPolicy", env, device="cpu", policy_kwargs={"dtype": "float32"})


class Stepped(gym.vector.VectorWrapper):
    """A wrapper that agents cannot see through."""


class FirstRatios(BaseCallback):
    """Notes the largest |log ratio| of each rollout, as the update sees it."""

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        self.seen: list[float] = []

    def _on_rollout_end(self) -> None:
        buffer, policy = self.model.rollout_buffer, self.model.policy
        batch = buffer.pack(np.arange(len(buffer.segments)))
        with th.no_grad():
            log_probs = policy.evaluate_actions(batch.observations, batch.actions)[1]
        self.seen.append(float((log_probs - batch.old_log_prob).abs().max()))


@pytest.mark.parametrize("timing", ["step", "deferred"])
def test_a_window_narrower_than_an_observation_learns_by_full_forwards(
    make_model_folder: Any, timing: str
) -> None:
    folder = make_model_folder("mistral", sliding_window=4)
    kwargs = {"max_prompt_tokens": 16, "max_new_tokens": 6, "reward": "length", "device": "cpu"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env = TokenVectorEnv(build_task, 4, reference_model=str(folder), **kwargs)
        # Played as it is, or through a wrapper that keeps rewards by step.
        played = env if timing == "deferred" else Stepped(env)
        agent = PPO("TransformerPolicy", played, n_steps=8, seed=0, device="cpu")
        ratios = FirstRatios()
        agent.learn(4 * 8 * 2, callback=ratios)
    assert isinstance(agent._state._decoder, FullDecoder)
    assert len(ratios.seen) == 2 and max(ratios.seen) < 1e-4
    messages = [str(each.message) for each in caught]
    assert any("Mistral" in m and "sliding-window layers of 4 tokens" in m for m in messages)
    with pytest.raises(ValueError, match="Mistral.*sliding-window layers of 4 tokens"):
        PPO(
            "TransformerPolicy", env, n_steps=8, device="cpu", policy_kwargs={"decode": "eager"}
        ).learn(8)
