"""What saves memory on an accelerator, and whether it computes the same.

Replayed steps against full forwards; LoRA against training all weights (the base held once, the
reference with the adapter off); gradient checkpointing and micro-batches against one batch; the
reward model kept on the card, in half precision, and at home between uses.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import textgym.agents
from benchmarks.gpu_decode import TOY, synchronise
from benchmarks.report import parse_arguments, print_table, write_json
from benchmarks.rollout_models import ENV_ID, SUBJECTS, model_arguments
from textgym.agents.policies.adapters import is_adapter
from textgym.models.decoding import open_decoder
from textgym.models.loading import load_causal_lm, resolve_device
from textgym.models.reward_model import SequenceScorer


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and with which models.

    Attributes:
        device: Where the models run.
        env_kwargs: Of the environment, its models among them.
        num_rows: Rows of a rollout.
        num_steps: Steps of a rollout.
    """

    device: torch.device
    env_kwargs: dict[str, Any]
    num_rows: int
    num_steps: int


def held_bytes(device: torch.device) -> int:
    """Return the bytes of tensors on a CUDA device; 0 elsewhere."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def peak_bytes(device: torch.device) -> int:
    """Return the peak since the last call of `forget_peak`; 0 elsewhere."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def forget_peak(device: torch.device) -> None:
    """Begin a new peak."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def decoding_differences(setting: Setting) -> dict[str, float]:
    """Return the largest difference of float32 logits to full forwards, by kind of step."""
    model = load_causal_lm(setting.env_kwargs["reference_model"], device=setting.device)
    is_cuda = setting.device.type == "cuda"
    width, num_rows = 96, 8
    ids = np.random.default_rng(0).integers(4, 1000, (num_rows, width))
    found = {}
    for kind in ("eager", "static", "graph", "compile") if is_cuda else ("eager", "static"):
        decoder = open_decoder(model, num_rows, width, kind)
        full = open_decoder(model, num_rows, width, "full")
        lengths, worst = np.arange(10, 10 + 8 * num_rows, 8), 0.0
        for step in range(12):
            if step == 6:
                ids[1], lengths[1] = ids[0], 5  # one row begins anew
            ours = decoder.logits(decoder.advance(ids, lengths))
            theirs = full.logits(full.advance(ids, lengths))
            worst = max(worst, float((ours - theirs).abs().max()))
            lengths = lengths + 1
        found[kind] = worst
    return found


def iteration(setting: Setting, **policy_kwargs: Any) -> dict[str, float]:
    """Return seconds and bytes of one PPO iteration, the environment's models included."""
    before = held_bytes(setting.device)
    forget_peak(setting.device)
    envs = gym.make_vec(ENV_ID, num_envs=setting.num_rows, **setting.env_kwargs)
    agent: Any = textgym.agents.PPO(
        "TransformerPolicy",
        envs,
        n_steps=setting.num_steps,
        n_epochs=1,
        batch_size=None,
        device=setting.device,
        seed=0,
        policy_kwargs={"value": "shared", **policy_kwargs},
    )
    held = held_bytes(setting.device) - before
    started = time.perf_counter()
    agent.learn(setting.num_rows * setting.num_steps)
    synchronise(setting.device)
    seconds = time.perf_counter() - started
    return {"held": held, "peak": peak_bytes(setting.device) - before, "seconds": seconds}


def adapter_difference(setting: Setting) -> float:
    """Return the largest difference of log-probs, adapter off against the reference, nats."""
    envs: Any = gym.make_vec(ENV_ID, num_envs=2, **setting.env_kwargs)
    agent: Any = textgym.agents.PPO(
        "TransformerPolicy",
        envs,
        device=setting.device,
        seed=0,
        policy_kwargs={"lora": "r=8", "value": "shared"},
    )
    with torch.no_grad():  # a fresh adapter has no effect that could be off
        for name, parameter in agent.policy.named_parameters():
            if is_adapter(name):
                parameter.add_(0.05)
    agent.policy.set_training_mode(False)
    obs, _ = envs.reset(seed=0)
    reference = envs.unwrapped.task.make_reference(2, obs.shape[1])
    lengths = (obs != envs.unwrapped.vocab_size).sum(axis=1)
    with torch.no_grad(), agent.policy.adapter_off():
        actions, _, ours = agent.policy(obs, None)
    theirs = reference.step_log_probs(obs, lengths, actions.cpu().numpy())
    return float(np.abs(ours.cpu().numpy() - theirs).max())


def scoring(setting: Setting, dtype: str, offload: bool) -> dict[str, float]:
    """Return seconds of scoring a batch, and the bytes held between uses."""
    before = held_bytes(setting.device)
    path = setting.env_kwargs["reward_model"]
    scorer = SequenceScorer(path, setting.device, dtype, offload=offload)
    generator = np.random.default_rng(0)
    sequences = [generator.integers(4, 1000, n).tolist() for n in generator.integers(60, 120, 64)]
    scorer.score_ids(sequences)
    started = time.perf_counter()
    scorer.score_ids(sequences)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "held": held_bytes(setting.device) - before}


def measure(setting: Setting) -> dict[str, Any]:
    """Measure everything; see the module."""
    policies: dict[str, dict[str, Any]] = {
        "float32": {"dtype": "float32"},
        "bfloat16": {"dtype": "bfloat16"},
        "bfloat16, checkpointed": {"dtype": "bfloat16", "gradient_checkpointing": True},
        "bfloat16, micro-batches of 2,048": {"dtype": "bfloat16", "micro_batch_tokens": 2048},
    }
    if find_spec("peft"):
        policies["LoRA, bfloat16"] = {"dtype": "bfloat16", "lora": "r=8"}
        policies["LoRA, bfloat16 weights"] = {"dtype": "bfloat16-weights", "lora": "r=8"}
    scorers = {
        "float32": ("float32", False),
        "bfloat16": ("bfloat16", False),
        "bfloat16, offloaded": ("bfloat16", True),
    }
    return {
        "logit_difference": decoding_differences(setting),
        "adapter_difference": adapter_difference(setting) if find_spec("peft") else None,
        "reward_model": {name: scoring(setting, *each) for name, each in scorers.items()},
        "iteration": {name: iteration(setting, **kwargs) for name, kwargs in policies.items()},
    }


def print_measures(found: dict[str, Any]) -> None:
    """Print the tables."""
    print_table(
        "largest difference of float32 logits to full forwards",
        ("step", "difference"),
        list(found["logit_difference"].items()),
    )
    print_table(
        "64 sequences scored",
        ("reward model", "seconds", "bytes held between uses"),
        [(n, each["seconds"], each["held"]) for n, each in found["reward_model"].items()],
    )
    print_table(
        "one PPO iteration, environment's models included",
        ("policy", "seconds", "bytes held", "peak bytes"),
        [(n, e["seconds"], e["held"], e["peak"]) for n, e in found["iteration"].items()],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON."""
    args: argparse.Namespace = parse_arguments(__doc__ or "", argv, repeats=None)
    device = resolve_device(args.device)
    is_toy = args.quick and device.type != "cuda"
    with tempfile.TemporaryDirectory() as folder:
        paths = model_arguments(TOY if is_toy else SUBJECTS["gpt2"], Path(folder))
        num_steps = 6 if is_toy else 48
        kwargs = {**paths, "device": str(device), "max_new_tokens": num_steps}
        setting = Setting(
            device=device,
            env_kwargs=kwargs,
            num_rows=4 if is_toy else 64,
            num_steps=num_steps,
        )
        found = measure(setting)
    print_measures(found)
    differences = found["logit_difference"]
    ratios = {f"gpu_logit_difference_{kind}": each for kind, each in differences.items()}
    if found["adapter_difference"] is not None:
        ratios["gpu_adapter_off_difference"] = found["adapter_difference"]
    write_json(args.json, "gpu_options", ratios, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
