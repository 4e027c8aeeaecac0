"""Every registered environment keeps the contract, also with its options switched on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import load_env_creator
from stable_baselines3 import A2C

from textgym.envs_registry.specs import ENVIRONMENTS, FAMILIES, EnvRow
from textgym.testing import CHECKS, Case, check_env, check_gold_order

OPTIONS: dict[str, Any] = {
    "min_new_tokens": 2,
    "info_action_mask": True,
    "temperature": 0.7,
    "missing_eos_score": -1.0,
    "kl_coef": 0.3,
}
# What those can change; the rest of the battery is about other things.
OPTION_CHECKS = ("libraries", "infos", "terms", "vector_equals_single", "deferred")

NOTHING_BETTER = {
    "Probe-ValueOnly-v0": "there is nothing to decide in it, only values to predict",
}

# Environments of data that the user names have the same battery in tests of their own.
COMPLETE = [row for row in ENVIRONMENTS if not row.needs]


def rows(*families: str) -> Any:
    """Parametrize by the rows of these families."""
    found = [row for row in COMPLETE if row.family in families]
    return pytest.mark.parametrize("row", found, ids=lambda row: row.id)


every_row, token_rows = rows(*FAMILIES), rows("token")


@pytest.fixture(autouse=True)
def _has_its_extra(request: pytest.FixtureRequest) -> None:
    row = request.node.callspec.params.get("row") if hasattr(request.node, "callspec") else None
    if row is not None and "Lunar" in row.id:
        pytest.importorskip("Box2D", reason="needs textgym[box2d]")


@pytest.fixture
def models(row: EnvRow, tiny_model_folder: Path, tiny_reward_folder: Path) -> dict[str, Any]:
    """Give the tasks with models tiny random ones: the contract does not depend on weights."""
    if row.suite != "RLHF" or row.family != "token":
        return {}
    return {
        "reference_model": str(tiny_model_folder),
        "reward_model": str(tiny_reward_folder),
        "max_prompt_tokens": 40,
        "max_new_tokens": 6,
        "device": "cpu",
    }


@every_row
@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore:.*Swig", "ignore:.*This is probably too")
def test_contract(row: EnvRow, models: dict[str, Any]) -> None:
    check_env(row.id, row.family, num_steps=20, **models)


@token_rows
@pytest.mark.filterwarnings("error")
def test_contract_with_options(row: EnvRow, models: dict[str, Any]) -> None:
    kwargs = {**models, **OPTIONS}
    longest = gym.make(row.id, **models).unwrapped.get_wrapper_attr("max_new_tokens")
    kwargs["min_new_tokens"] = min(kwargs["min_new_tokens"], longest)
    case = Case(id=row.id, kwargs=kwargs, num_steps=20)
    for check in CHECKS["token"]:
        if check.__name__.removeprefix("check_") in OPTION_CHECKS:
            check(case)


# Where one episode is worth all or nothing, more of them tell policies apart.
MANY_EPISODES = {"RLHF-Monitor-v0": 200}


@every_row
def test_better_policies_earn_more(row: EnvRow) -> None:
    """With the models that come with it: best known above reference above random."""
    if row.id in NOTHING_BETTER:
        pytest.skip(NOTHING_BETTER[row.id])
    kwargs = {"device": "cpu"} if row.family == "token" else {}
    case = Case(id=row.id, family=row.family, kwargs=kwargs)
    found = check_gold_order(case, num_episodes=MANY_EPISODES.get(row.id, 96))
    assert found.best_known is not None, "no best policy is known"


@token_rows
def test_a2c_as_it_comes_learns_on_it(row: EnvRow, models: dict[str, Any]) -> None:
    agent = A2C("MlpPolicy", gym.make(row.id, **models), n_steps=8, device="cpu")
    agent.learn(16)
    assert agent.num_timesteps == 16


OFFLINE = """
import sys
import gymnasium as gym
import textgym
from textgym.testing.isolation import blocked_sockets
with blocked_sockets() as tried:
    for env_id in sys.argv[1:]:
        gym.make(env_id).reset(seed=0)
print("made", len(sys.argv) - 1, "tried", tried)
"""


def test_all_are_made_without_a_network_from_cold() -> None:
    """In a fresh process: no model is in a cache, and no hub is told to stay silent."""
    ids = [row.id for row in COMPLETE if "Lunar" not in row.id]
    kept = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE",)}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, *ids], capture_output=True, text=True, env=kept, timeout=300
    )
    assert f"made {len(ids)} tried []" in done.stdout, done.stderr[-2000:]


@token_rows
def test_table_and_classes_agree(row: EnvRow) -> None:
    spec = gym.spec(row.id)
    assert (spec.entry_point, spec.vector_entry_point) == (row.entry_point, row.vector_entry_point)
    assert spec.max_episode_steps is None
    single = load_env_creator(row.entry_point)
    vector = load_env_creator(row.vector_entry_point)
    assert single.task_builder is vector.task_builder  # type: ignore[attr-defined]
    assert single.default_kwargs == vector.default_kwargs  # type: ignore[attr-defined]


@token_rows
def test_prompts_are_pure_functions_of_their_index(row: EnvRow, models: dict[str, Any]) -> None:
    one, other = (gym.make(row.id, **models).unwrapped for _ in range(2))
    source = one.get_wrapper_attr("task").prompts
    again = other.get_wrapper_attr("task").prompts
    for prompt_id in np.unique(np.linspace(0, len(source) - 1, 7).astype(int)).tolist():
        assert source[prompt_id] == again[prompt_id]
        assert source[prompt_id].prompt_id == prompt_id


@every_row
def test_make_vec_in_sync_mode(row: EnvRow, models: dict[str, Any]) -> None:
    envs = gym.make_vec(row.id, num_envs=2, vectorization_mode="sync", **models)
    obs, _ = envs.reset(seed=0)
    assert obs in envs.observation_space
    actions = envs.action_space.sample()
    if hasattr(envs.envs[0].unwrapped, "action_masks"):
        actions = np.array([np.argmax(masks) for masks in envs.call("action_masks")])
    assert envs.step(actions)[0] in envs.observation_space


IN_WORKERS = (
    "RLHF-Summarize-v0",
    "RLHF-Dialogue-v0",
    "Probe-Copy-v0",
)
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


# Workers are Gymnasium's: an environment of each kind shows that ours can live in them. Each worker
# loads torch, so that all of them would take minutes.
@pytest.mark.parametrize(
    "row", [row for row in COMPLETE if row.id in IN_WORKERS], ids=lambda r: r.id
)
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
