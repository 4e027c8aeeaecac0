"""A prompt of one's own is refused at reset where the reward or the task does not know it."""

from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym  # noqa: F401
from textgym.envs_registry.specs import ENVIRONMENTS

# Of each probe a text that is one of its prompts, and some that its symbols can write but are none.
OWN = {
    "Probe-Constant-v0": (">", ["a", "> >", ""]),
    "Probe-Copy-v0": ("c a b >", [">", "a b >", "a b c d"]),
    "Probe-Parity-v0": ("1 1 0 =", ["=", "0 1", "1 1 0 0"]),
    "Probe-DelayedCredit-v0": (">", ["a", "> >", ""]),
    "Probe-IncreasingNumbers-v0": ("3", ["9", "3 4", ""]),
    "Probe-ValueOnly-v0": ("5", ["a", "5 a", ""]),
    "Probe-ExactKL-v0": ("<bos>", ["a", "a b", "<eos>"]),
}
PROBES = [row for row in ENVIRONMENTS if row.id.startswith("Probe-")]
OTHERS = [
    row
    for row in ENVIRONMENTS
    if row.family in ("token", "tag") and not row.needs and row not in PROBES
]


def play(env: gym.Env) -> dict[str, Any]:
    rng, ended, info = np.random.default_rng(0), False, dict[str, Any]()
    core: Any = env.unwrapped
    while not ended:
        _, _, ended, _, info = env.step(int(rng.choice(np.flatnonzero(core.action_masks()))))
    return info


@pytest.mark.parametrize("reward", ["gold", "teacher"])
@pytest.mark.parametrize("row", OTHERS, ids=lambda row: row.id)
def test_what_reads_facts_is_refused_at_once(row: Any, reward: str) -> None:
    env = gym.make(row.id, reward=reward, device="cpu")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=f"reward='{reward}' reads facts .* prompt_id=.*got promp"):
        env.reset(options={"prompt": "my order is late"})
    env.reset(options={"prompt_id": 0})  # goes on
    assert "gold_score" in play(env)


def test_every_probe_is_looked_at() -> None:
    assert {row.id for row in PROBES} == set(OWN)


@pytest.mark.parametrize("env_id", OWN)
def test_a_probe_takes_the_texts_of_its_own_prompts(env_id: str) -> None:
    """Paid and measured as the prompt itself is; by the table, the gold and a teacher."""
    rewards = ["model"] if env_id == "Probe-ExactKL-v0" else ["gold", "teacher"]
    for reward in rewards:
        env = gym.make(env_id, reward=reward)
        prompts = env.get_wrapper_attr("task").prompts
        text = OWN[env_id][0]
        (index,) = [i for i in range(len(prompts)) if prompts[i].text == text]
        found = []
        for options in ({"prompt": text}, {"prompt_id": index}):
            env.reset(options=options)
            info = play(env)
            found.append((info["score"], info.get("regret"), info["response"]))
        assert found[0] == found[1]


@pytest.mark.parametrize("max_prompt_tokens", [4, 6])
@pytest.mark.parametrize("env_id", OWN)
def test_a_probe_refuses_other_prompts_at_reset(env_id: str, max_prompt_tokens: int) -> None:
    """However many tokens a prompt may have, and before any row of several begins."""
    env: Any = gym.make(env_id, max_prompt_tokens=max_prompt_tokens)
    envs: Any = gym.make_vec(env_id, num_envs=2, max_prompt_tokens=max_prompt_tokens)
    before, _ = envs.reset(seed=0)
    good, bad = OWN[env_id]
    for text in bad:
        count = len(env.unwrapped.task.prompts)
        said = rf"expected the text of one of this task's {count} prompts \('.*\), got prompt="
        with pytest.raises(ValueError, match=said + re.escape(repr(text))):
            env.reset(options={"prompt": text})
        with pytest.raises(ValueError, match=said + re.escape(repr(text))):
            envs.reset(options={"prompt": [good, text]})
        np.testing.assert_array_equal(envs.unwrapped.get_state().ids, before)
    ended = False
    while not ended:  # the rows play on as if nothing had been asked
        *_, terminated, _, infos = envs.step(np.zeros(2, dtype=np.int64))
        ended = terminated.all()
    assert np.isfinite(infos["final_info"]["score"]).all()


@pytest.mark.parametrize("env_id", ["RLHF-Summarize-v0", "RLHF-MultiObjective-v0"])
def test_sums_are_refused_where_a_part_is(env_id: str) -> None:
    options = {"prompt": "my order is late"}
    for reward in ("0.5*gold+length", "rouge"):
        said = re.escape(f"reward={reward!r} reads facts or references")
        with pytest.raises(ValueError, match=said):
            gym.make(env_id, reward=reward, device="cpu").reset(options=options)
    gym.make(env_id, reward="length", device="cpu").reset(options=options)
