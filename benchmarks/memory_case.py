"""One measured case of `benchmarks.memory`, in a process of its own: `... memory_case JSON`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

import textgym.agents
from textgym.agents.rollouts.iteration_shape import iteration_shape

ENV_ID = "RLHF-Summarize-v0"
# Loads every library and module that an iteration uses; its own tensors are next to nothing.
WARM_UP = {
    "model": "scratch:llama,layers=1,width=16,heads=2",
    "n_envs": 2,
    "response": 4,
    "n_steps": 8,
    "gradient_checkpointing": False,
    "group_size": 1,
}


def peak_bytes(device: str) -> int:
    """Return the most memory that this process has held so far."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # Linux: getrusage() would begin with the peak of the process above
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def play_and_update(case: dict[str, Any], device: str) -> Any:
    """Run one iteration of PPO and return the agent with its `estimate` of that."""
    kwargs = {
        "max_new_tokens": case["response"],
        "group_size": case["group_size"],
        "device": device,
    }
    env = gym.make_vec(ENV_ID, num_envs=case["n_envs"], **kwargs)
    policy_kwargs = {"gradient_checkpointing": case["gradient_checkpointing"]}
    if case["model"] is not None:
        policy_kwargs["model"] = case["model"]
    agent = textgym.agents.PPO(
        "TransformerPolicy",
        env,
        n_steps=case["n_steps"],
        n_epochs=1,
        policy_kwargs=policy_kwargs,
        device=device,
        seed=0,
    )
    estimate = textgym.agents.estimate_memory(agent)
    agent.learn(case["n_steps"] * case["n_envs"])
    return agent, estimate


def measure(case: dict[str, Any], device: str) -> dict[str, Any]:
    """Return the peak above what the process took before, the estimate, and what was played."""
    play_and_update(WARM_UP, device)
    before = peak_bytes(device)
    agent, estimate = play_and_update(case, device)
    buffer = agent.rollout_buffer
    return {
        **case,
        "parameters": sum(p.numel() for p in agent.policy.parameters()),
        "measured": peak_bytes(device) - before,
        "before": before,
        "estimate": estimate.total,
        "parts": dict(estimate.largest()),
        "tokens": len(buffer.ids),
        "tokens_estimated": iteration_shape(agent).rollout_tokens,
        "buffer_bytes_per_transition": buffer.nbytes / buffer.n_transitions,
    }


def main() -> None:
    """Measure the case given as JSON and print the result as one line of JSON."""
    case = json.loads(sys.argv[1])
    sys.stdout.write(json.dumps(measure(case, case.pop("device"))) + "\n")


if __name__ == "__main__":
    main()
