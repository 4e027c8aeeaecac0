"""At the start the policy is the reference: KL 0 and ratio 1 for any temperature and any mask."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback

import textgym
from textgym.agents import PPO

ENV_ID = "Tiny-Start-v0"
USER_MODULE = """
    import numpy as np

    def prompts():
        return ["a dog", "my friend said that", "the house"]

    def mask(ids, lengths, prompt_lengths):
        '''Depends on the last token and on how much was said; forbids a third of the tokens.'''
        last = ids[np.arange(len(ids)), lengths - 1]
        said = lengths - prompt_lengths
        return (np.arange(320)[None] + last[:, None] + said[:, None]) % 3 != 0
"""
MASKS: dict[str, dict[str, Any]] = {
    "none": {},
    "min_new_tokens": {"min_new_tokens": 3},
    "user": {"action_mask": "user_start_module:mask"},
    "user and min_new_tokens": {"action_mask": "user_start_module:mask", "min_new_tokens": 3},
    "subset": {"action_tokens": "2,5,7,40-41", "min_new_tokens": 2},
}


class Look(BaseCallback):
    """Notes the logged KL and the largest |log ratio| of each rollout's first minibatch."""

    def __init__(self) -> None:
        """Note nothing yet."""
        super().__init__()
        self.kls: list[float] = []
        self.log_ratios: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        agent: Any = self.model
        self.kls.append(agent.logger.name_to_value["rollout/kl"])
        agent.policy.set_training_mode(True)
        batch = next(agent.rollout_buffer.get(agent.batch_size))
        with th.no_grad():
            _, log_probs, _ = agent.policy.evaluate_actions(batch.observations, batch.actions)
        self.log_ratios.append(float((log_probs - batch.old_log_prob).abs().max()))


@pytest.fixture
def env_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model_folder: Path) -> str:
    """Register an environment of a user's own module, with the tiny Llama as its reference."""
    monkeypatch.setattr(gym.envs.registration, "registry", dict(gym.registry))
    (tmp_path / "user_start_module.py").write_text(textwrap.dedent(USER_MODULE), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    textgym.register_text_env(
        ENV_ID,
        prompts="user_start_module:prompts",
        reward="length",
        reference_model=str(tiny_model_folder),
        max_prompt_tokens=12,
        max_new_tokens=6,
        device="cpu",
    )
    return ENV_ID


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("mask", MASKS)
def test_kl_is_0_and_the_ratio_is_1(env_id: str, mask: str, temperature: float) -> None:
    env = gym.make_vec(env_id, num_envs=6, temperature=temperature, **MASKS[mask])
    agent = PPO("TransformerPolicy", env, n_steps=9, batch_size=30, learning_rate=3e-3, seed=0)
    look = Look()
    agent.learn(6 * 9 * 3, callback=look)
    assert look.kls[0] == pytest.approx(0.0, abs=1e-4)
    assert abs(look.kls[-1]) > 1e-3
    assert len(look.log_ratios) == 3 and max(look.log_ratios) < 1e-4
