"""Agents as folders: round trips, continuing, SB3's callbacks, damaged and foreign folders."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch as th
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback

from textgym.agents import A2C, PPO, LearningRate, as_vec_env
from textgym.agents.storage.checkpoint import CheckpointError
from textgym.agents.storage.saving import is_agent_folder, saved_algorithm

MakeEnv = Callable[..., Any]


def vector(agent: Any) -> th.Tensor:
    return th.nn.utils.parameters_to_vector(agent.policy.parameters()).detach()


def greedy(agent: Any, env: Any) -> list[int]:
    obs, _ = env.reset(seed=5)
    return agent.predict(obs, deterministic=True)[0].tolist()


def test_round_trip(make_text_env: MakeEnv, tmp_path: Path) -> None:
    agent = PPO(
        "TransformerPolicy",
        make_text_env(min_new_tokens=2),
        n_steps=6,
        batch_size=12,
        learning_rate=LearningRate(peak=1e-3, warmup=0.1),
        kl_target=2.0,
        seed=3,
    )
    agent.learn(6 * 6 * 2)
    agent.save(tmp_path / "agent.zip")
    assert is_agent_folder(tmp_path / "agent") and saved_algorithm(tmp_path / "agent") == "PPO"
    env = make_text_env(min_new_tokens=2)
    loaded = PPO.load(tmp_path / "agent.zip", env=env, device="cpu")
    assert th.equal(vector(loaded), vector(agent))
    assert loaded.num_timesteps == agent.num_timesteps and loaded._n_updates == agent._n_updates
    assert loaded.batch_size == 12 and loaded.learning_rate == agent.learning_rate
    assert loaded.kl_controller == agent.kl_controller
    assert env.kl_coef == agent.kl_controller.kl_coef
    assert greedy(loaded, make_text_env()) == greedy(agent, make_text_env())
    ours, theirs = (a.policy.optimizer.state_dict()["state"] for a in (loaded, agent))
    assert ours.keys() == theirs.keys()
    assert all(th.equal(ours[i]["exp_avg_sq"], theirs[i]["exp_avg_sq"]) for i in ours)
    files = [file.suffix for file in (tmp_path / "agent").rglob("*") if file.is_file()]
    assert not {".pkl", ".pth", ".pt", ".bin", ".zip"} & set(files)


def test_nothing_is_unpickled(
    make_text_env: MakeEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = PPO("TransformerPolicy", make_text_env(), n_steps=6, seed=0)
    agent.learn(1)
    agent.save(tmp_path / "agent")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was unpickled")

    class Refusing:
        def __init__(self, *_: Any, **__: Any) -> None:
            """Refuse."""
            refuse()

    for module in (pickle, cloudpickle):
        monkeypatch.setattr(module, "load", refuse)
        monkeypatch.setattr(module, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", Refusing)
    monkeypatch.setattr(th, "load", refuse)
    loaded = PPO.load(tmp_path / "agent", env=make_text_env(), device="cpu")
    assert th.equal(vector(loaded), vector(agent))


def test_language_model_loads_with_transformers(make_text_env: MakeEnv, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from textgym.tokenizer import load_tokenizer

    env = make_text_env()
    agent = PPO("TransformerPolicy", env, n_steps=6, seed=0)
    agent.learn(1)
    agent.save(tmp_path / "agent")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "agent" / "policy")
    for name, tensor in model.state_dict().items():
        assert th.equal(tensor, agent.policy.language_model.state_dict()[name])
    assert load_tokenizer(tmp_path / "agent" / "policy").fingerprint == env.tokenizer.fingerprint


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_continuing(algorithm: Any, make_text_env: MakeEnv, tmp_path: Path) -> None:
    """Prompts, sampling and minibatches go on where they were, not from the seed again."""
    agent = algorithm("TransformerPolicy", make_text_env(), n_steps=6, seed=0)
    agent.learn(6 * 6)
    agent.save(tmp_path / "agent")
    states = [one.bit_generator.state for one in agent.env.unwrapped.env.np_random]
    sampling = agent.policy.generator.get_state()
    env = make_text_env()
    loaded = algorithm.load(tmp_path / "agent", env=env, device="cpu")
    assert [one.bit_generator.state for one in env.np_random] == states
    assert th.equal(loaded.policy.generator.get_state(), sampling)
    loaded.learn(6 * 6, reset_num_timesteps=False)
    assert loaded.num_timesteps == 72 and not th.equal(vector(loaded), vector(agent))


def test_a_falling_weight_goes_on_falling(make_text_env: MakeEnv, tmp_path: Path) -> None:
    agent = PPO("TransformerPolicy", make_text_env(kl_coef=0.1), n_steps=6, kl_start=1.0, seed=0)
    agent.learn(2 * 36)
    agent.save(tmp_path / "agent")
    env = make_text_env(kl_coef=0.1)
    loaded = PPO.load(tmp_path / "agent", env=env, device="cpu")
    assert env.kl_coef == agent.kl_controller.kl_coef == loaded.kl_controller.kl_coef
    assert vars(loaded.kl_controller) == {"start": 1.0, "final": 0.1, "share": 0.6} | {
        "kl_coef": env.kl_coef
    }


def test_without_an_environment(make_text_env: MakeEnv, tmp_path: Path) -> None:
    env = make_text_env(actions=(2, 7, 40), min_new_tokens=2, temperature=0.5)
    agent = PPO("TransformerPolicy", env, n_steps=6, seed=0)
    agent.save(tmp_path / "agent")
    with pytest.warns(UserWarning, match="action mask"):
        loaded = PPO.load(tmp_path / "agent", device="cpu")
    assert loaded.policy.temperature == 0.5
    loaded.policy.mask_fn = env.mask_fn
    assert greedy(loaded, env) == greedy(agent, env)
    loaded.save(tmp_path / "again")
    assert th.equal(vector(PPO.load(tmp_path / "again", env=env)), vector(agent))


def test_separate_value_model(
    make_text_env: MakeEnv, tiny_reward_folder: Path, tmp_path: Path
) -> None:
    kwargs = {"value": "separate", "value_init": str(tiny_reward_folder)}
    agent = PPO("TransformerPolicy", make_text_env(), n_steps=6, seed=0, policy_kwargs=kwargs)
    agent.learn(1)
    agent.save(tmp_path / "agent")
    loaded = PPO.load(tmp_path / "agent", env=make_text_env(), device="cpu")
    assert th.equal(vector(loaded), vector(agent))
    obs, _ = make_text_env().reset(seed=0)
    with th.no_grad():
        th.testing.assert_close(loaded.policy.predict_values(obs), agent.policy.predict_values(obs))


def test_set_parameters(make_text_env: MakeEnv, tmp_path: Path) -> None:
    agent = PPO("TransformerPolicy", make_text_env(), n_steps=6, seed=0)
    agent.learn(1)
    agent.save(tmp_path / "agent")
    other = PPO("TransformerPolicy", make_text_env(), n_steps=6, seed=1)
    version = other.policy.weights_version
    other.set_parameters(tmp_path / "agent")
    assert th.equal(vector(other), vector(agent)) and other.policy.weights_version > version
    third = PPO("TransformerPolicy", make_text_env(), n_steps=6, seed=1)
    third.set_parameters(agent.get_parameters())
    assert th.equal(vector(third), vector(agent))
    with pytest.raises(ValueError, match="do not match"):
        third.set_parameters({"policy": agent.policy.state_dict()})


def test_sb3_callbacks(tmp_path: Path) -> None:
    agent = PPO("TransformerPolicy", "Probe-ExactKL-v0", n_envs=4, n_steps=8, seed=0)
    eval_env = as_vec_env("Probe-ExactKL-v0", num_envs=2, seed=1, env_kwargs={"kl_coef": 0.0})
    callbacks = [
        CheckpointCallback(save_freq=8, save_path=str(tmp_path / "checkpoints")),
        EvalCallback(
            eval_env,
            n_eval_episodes=4,
            eval_freq=8,
            best_model_save_path=str(tmp_path / "best"),
            verbose=0,
        ),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent.learn(4 * 8 * 2, callback=callbacks)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["rl_model_32_steps", "rl_model_64_steps"]
    loaded = PPO.load(tmp_path / "checkpoints" / "rl_model_64_steps.zip")
    assert loaded.num_timesteps == 64
    assert PPO.load(tmp_path / "best" / "best_model").num_timesteps in (32, 64)


def test_schedules_that_cannot_be_written_down(make_text_env: MakeEnv, tmp_path: Path) -> None:
    agent = PPO(
        "TransformerPolicy", make_text_env(), n_steps=6, learning_rate=lambda left: 0.5 * left
    )
    with pytest.warns(UserWarning, match="learning_rate=.* cannot be written down"):
        agent.save(tmp_path / "agent")
    assert PPO.load(tmp_path / "agent").learning_rate == 0.5
    assert PPO.load(tmp_path / "agent", learning_rate=0.25).learning_rate == 0.25


def test_bad_folders(make_text_env: MakeEnv, tmp_path: Path) -> None:
    agent = PPO("TransformerPolicy", make_text_env(), n_steps=6, seed=0)
    folder = tmp_path / "agent"
    agent.save(folder)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        PPO.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="saved by A2C, got 'PPO'"):
        A2C.load(folder)
    with pytest.raises(ValueError, match="expected an environment with Box"):
        PPO.load(folder, env="Probe-ExactKL-v0")
    with pytest.raises(ValueError, match="exclude"):
        agent.save(folder, exclude=["policy"])
    with pytest.raises(ValueError, match="path of a folder"):
        agent.save(3)  # type: ignore[arg-type]
    agent.policy.save(tmp_path / "policy_only")
    with pytest.raises(CheckpointError, match=r"agent\.json"):
        PPO.load(tmp_path / "policy_only")
    record = folder / "agent.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "n_envs": 1000}))
    with pytest.raises(CheckpointError, match=r"damaged: 'agent\.json'"):
        PPO.load(folder)


def test_a_failed_save_leaves_the_previous_one(
    make_text_env: MakeEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = PPO("TransformerPolicy", make_text_env(), n_steps=6, seed=0)
    agent.save(tmp_path / "agent")

    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("textgym.agents.storage.saving.write_optimizer", full_disk)
    agent.learn(1)
    with pytest.raises(OSError, match="No space left"):
        agent.save(tmp_path / "agent")
    assert PPO.load(tmp_path / "agent").num_timesteps == 0
