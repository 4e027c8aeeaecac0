"""Memory that is too small: refused before a run, named inside one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch as th

from textgym.agents import PPO
from textgym.agents.policies import TransformerPolicy
from textgym.agents.rollouts import device_memory
from textgym.agents.rollouts.device_memory import (
    OutOfMemory,
    available_bytes,
    is_out_of_memory,
    out_of_memory_named,
    require_memory,
)
from textgym.agents.rollouts.memory_estimate import GIB, MemoryEstimate

MakeEnv = Callable[..., Any]
ALLOCATOR = (
    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
)


def estimate(**parts: int) -> MemoryEstimate:
    names = ("weights", "reference", "reward_model", "gradients", "optimizer_state", "kv_slots")
    names += ("buffer", "activations", "logits")
    return MemoryEstimate(**{**dict.fromkeys(names, 0), **parts})


def test_what_fits_passes_and_what_nobody_can_tell_too() -> None:
    needs = estimate(weights=3 * GIB)
    require_memory(needs, th.device("cpu"), lambda device: 3 * GIB)
    require_memory(needs, th.device("cpu"), lambda device: None)


@pytest.mark.parametrize(
    ("part", "knob"),
    [
        ("activations", "gradient_checkpointing=True, with it micro_batch_tokens"),
        ("kv_slots", r"n_envs \(num_envs\)"),
        ("buffer", "n_steps"),
        ("logits", "micro_batch_tokens"),
    ],
)
def test_what_does_not_fit_names_estimate_memory_and_knob(part: str, knob: str) -> None:
    needs = estimate(weights=GIB // 2, **{part: 4 * GIB})
    expected = rf"takes about 4.5 GiB.*the 2 GiB of 'cpu'.*{part.replace('_', ' ')} with 4 .*{knob}"
    with pytest.raises(ValueError, match=expected):
        require_memory(needs, th.device("cpu"), lambda device: 2 * GIB)


def test_learn_refuses_before_the_first_step(
    make_text_env: MakeEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = PPO("TransformerPolicy", make_text_env(), n_steps=8, seed=0)
    monkeypatch.setattr(device_memory.require_memory, "__defaults__", (lambda device: 1000,))
    with pytest.raises(ValueError, match="an iteration takes about"):
        agent.learn(8)
    assert agent.num_timesteps == 0


def test_this_machine_has_memory() -> None:
    there = available_bytes(th.device("cpu"))
    assert there is None or there > GIB // 2


def test_without_sysconf_and_psutil_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(device_memory.os, "sysconf", missing)
    monkeypatch.setitem(device_memory.__dict__, "_psutil_total", lambda: None)
    assert available_bytes(th.device("cpu")) is None


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (th.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError(ALLOCATOR), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) is is_one


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="^shapes$"), out_of_memory_named("update", "2 rows"):
        raise RuntimeError("shapes")


def failing(error: Exception, after: int = 0, work: Callable[..., Any] | None = None) -> Any:
    """A method that works `after` times and then fails."""
    calls = 0

    def method(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= after and work is not None:
            return work(*args, **kwargs)
        raise error

    return method


@pytest.mark.filterwarnings("ignore:.*withheld rewards are discarded")
@pytest.mark.parametrize(
    ("phase", "after", "sizes"),
    [("prefill", 0, "3 rows of at most"), ("decode", 1, "3 rows of at most")],
)
def test_a_step_names_its_phase(
    make_text_env: MakeEnv, monkeypatch: pytest.MonkeyPatch, phase: str, after: int, sizes: str
) -> None:
    env = make_text_env(num_envs=3, min_new_tokens=3)
    agent = PPO("TransformerPolicy", env, n_steps=4, seed=0)
    forward = TransformerPolicy.forward
    broken = failing(RuntimeError(ALLOCATOR), after, lambda *a, **k: forward(agent.policy, *a, **k))
    monkeypatch.setattr(agent.policy, "forward", broken)
    with pytest.raises(OutOfMemory, match=f"out of memory in {phase} .{sizes}.*n_envs"):
        agent.learn(12)
    assert env.unwrapped.reward_timing == "step"  # put back in any case


@pytest.mark.filterwarnings("ignore:.*withheld rewards are discarded")
def test_settle_and_update_name_their_sizes(
    make_text_env: MakeEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = make_text_env(num_envs=3)
    agent = PPO("TransformerPolicy", env, n_steps=4, batch_size=6, seed=0)
    broken = failing(th.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    with monkeypatch.context() as patch:
        patch.setattr(agent.policy, "evaluate_actions", broken)
        expected = "in update .12 transitions in .* segments .* minibatches of 6, micro-batches of "
        with pytest.raises(OutOfMemory, match=expected + ".*CUDA out of memory"):
            agent.learn(12)
    monkeypatch.setattr(env.unwrapped, "settle_rewards", broken)
    with pytest.raises(OutOfMemory, match="in settle .4 steps of 3 rows.*lower n_steps"):
        agent.learn(12)
