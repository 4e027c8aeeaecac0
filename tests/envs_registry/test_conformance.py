"""Every registered environment keeps the contract, also with its options switched on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import load_env_creator
from stable_baselines3 import A2C, PPO

import textgym
from textgym.envs_registry.specs import ENVIRONMENTS, EnvRow

OPTIONS: list[dict[str, Any]] = [
    {},
    {
        "min_new_tokens": 2,
        "info_action_mask": True,
        "temperature": 0.7,
        "missing_eos_score": -1.0,
        "kl_coef": 0.3,
    },
]


# Environments of data that the user names have the same battery in tests of their own; those
# without text keep another contract (tests/textgym/wrappers/test_feedback_env.py).
COMPLETE = [row for row in ENVIRONMENTS if not row.needs and row.family == "token"]


@pytest.fixture(params=COMPLETE, ids=lambda row: row.id)
def row(request: pytest.FixtureRequest) -> EnvRow:
    return request.param


@pytest.fixture
def models(row: EnvRow, tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, Any]:
    """Give the tasks with models tiny random ones: the contract does not depend on weights."""
    if row.suite != "RLHF":
        return {}
    return {
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "max_prompt_tokens": 40,
        "max_new_tokens": 6,
        "device": "cpu",
    }


@pytest.mark.parametrize("options", OPTIONS, ids=["default", "options"])
@pytest.mark.filterwarnings("error")
def test_contract(row: EnvRow, models: dict[str, Any], options: dict[str, Any]) -> None:
    kwargs = {**models, **options}
    longest = gym.make(row.id, **models).unwrapped.get_wrapper_attr("max_new_tokens")
    if kwargs.get("min_new_tokens", 0) > longest:
        kwargs["min_new_tokens"] = longest
    textgym.check_text_env(row.id, num_steps=20, **kwargs)


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_stock_algorithms_learn_on_it(
    row: EnvRow, models: dict[str, Any], algorithm: type[PPO] | type[A2C]
) -> None:
    batch = {"batch_size": 8} if algorithm is PPO else {}
    agent = algorithm("MlpPolicy", gym.make(row.id, **models), n_steps=8, device="cpu", **batch)
    agent.learn(16)
    assert agent.num_timesteps == 16


def test_table_and_classes_agree(row: EnvRow) -> None:
    spec = gym.spec(row.id)
    assert (spec.entry_point, spec.vector_entry_point) == (row.entry_point, row.vector_entry_point)
    assert spec.max_episode_steps is None
    single = load_env_creator(row.entry_point)
    vector = load_env_creator(row.vector_entry_point)
    assert single.task_builder is vector.task_builder  # type: ignore[attr-defined]
    assert single.default_kwargs == vector.default_kwargs  # type: ignore[attr-defined]


def test_prompts_are_pure_functions_of_their_index(row: EnvRow, models: dict[str, Any]) -> None:
    one, other = (gym.make(row.id, **models).unwrapped for _ in range(2))
    source = one.get_wrapper_attr("task").prompts
    again = other.get_wrapper_attr("task").prompts
    for prompt_id in np.unique(np.linspace(0, len(source) - 1, 7).astype(int)).tolist():
        assert source[prompt_id] == again[prompt_id]
        assert source[prompt_id].prompt_id == prompt_id


def test_make_vec_in_sync_mode(row: EnvRow, models: dict[str, Any]) -> None:
    envs = gym.make_vec(row.id, num_envs=2, vectorization_mode="sync", **models)
    obs, _ = envs.reset(seed=0)
    assert obs in envs.observation_space
    assert envs.step(envs.action_space.sample())[0] in envs.observation_space


ASYNC = """
import json, sys
import gymnasium as gym, numpy as np, textgym
if __name__ == "__main__":
    env_id, kwargs = json.loads(sys.argv[1])
    native = gym.make_vec(env_id, num_envs=2, **kwargs)
    workers = gym.make_vec(
        env_id, num_envs=2, vectorization_mode="async",
        vector_kwargs={"context": "forkserver", "autoreset_mode": native.autoreset_mode}, **kwargs,
    )
    same = [np.array_equal(native.reset(seed=3)[0], workers.reset(seed=3)[0])]
    for action in (40 % native.single_action_space.n, 0, 1):
        one, other = native.step([action] * 2), workers.step([action] * 2)
        same.append(np.array_equal(one[0], other[0]) and np.array_equal(one[2], other[2]))
        same.append(np.allclose(one[1], other[1], atol=1e-4))
    workers.close()
    print("same", same)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no forkserver")
def test_make_vec_in_async_mode_equals_the_native_one(
    row: EnvRow, models: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(ASYNC, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), json.dumps([row.id, models])],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "same" in done.stdout, done.stderr[-2000:]
    assert "False" not in done.stdout and done.stdout.count("True") == 7


def test_unknown_id_is_answered_by_gymnasium() -> None:
    with pytest.raises(gym.error.UnregisteredEnv, match="RLHF-Summarise"):
        gym.make("RLHF-Summarise-v0")
