"""What `textgym train` is told: its flags, the default budgets, and config.json."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from textgym.agents.evaluation.policy_sources import ALGORITHMS
from textgym.agents.policies import TransformerPolicy
from textgym.agents.presets import A2C_PRESETS, PPO_PRESETS, PPOPreset, SharedPreset
from textgym.agents.run_defaults import default_preset
from textgym.agents.runs.run_folder import RunFolder
from textgym.cli.environment import add_env_arguments, env_kwargs
from textgym.cli.flags import add_config_flags, add_parameter_flags, config_from, given

PRESETS: dict[str, Any] = {"ppo": PPO_PRESETS, "a2c": A2C_PRESETS}
POLICY_FLAGS = (
    "model",
    "value",
    "value_init",
    "dtype",
    "decode",
    "lora",
    "micro_batch_tokens",
    "gradient_checkpointing",
    "entropy",
)
# What the presets leave open to schedules and functions is a number on the command line.
NUMBERS = {
    "learning_rate": float | None,
    "clip_range": float,
    "clip_range_vf": float | None,
}
RESUMED_FLAGS = ("steps", "minutes", "device", "eval_prompts")
SHARED_FLAGS = tuple(f.name for f in fields(SharedPreset) if not f.name.endswith("_kwargs"))
_SHARED = tuple(f.name for f in fields(SharedPreset))
PPO_FLAGS = tuple(f.name for f in fields(PPOPreset) if f.name not in _SHARED)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Run."""

    steps: int | None = None
    """Tokens to train on; none takes the environment's default budget."""

    minutes: float | None = None
    """Train for this many minutes instead; schedules then stay at their beginning."""

    seed: int = 0
    """Seeds weights, prompts, sampling and minibatches; the same seed gives the same run."""

    n_envs: int = 64
    """Episodes that are played side by side."""

    device: str = "auto"
    """Where policy, reference and reward model run: auto, cpu, cuda or mps."""

    sample_every: int = 5
    """Rollouts between two sets of sample responses in samples.jsonl."""

    checkpoint_every: int = 20
    """Rollouts between two checkpoints, of which the newest two stay; 0 for none."""

    eval_prompts: int = 512
    """Held-out prompts of the comparison at the end; 0 for no comparison."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("n_envs", "sample_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        for name in ("checkpoint_every", "eval_prompts", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)!r}")
        for name in ("steps", "minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value!r}")
        if self.steps is not None and self.minutes is not None:
            raise ValueError("expected --steps or --minutes, got both")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym train`."""
    add_env_arguments(parser, positional=True, required=False)
    parser.add_argument(
        "--algo", choices=sorted(ALGORITHMS), help="which algorithm trains [default: ppo]"
    )
    parser.add_argument(
        "--preset",
        help=f"table of defaults for the flags below: {', '.join(PPO_PRESETS)} "
        "[default: a probe's own, else textgym, whose values are shown]",
    )
    parser.add_argument("--output", type=Path, help="parent of the run's folder [default: runs]")
    parser.add_argument(
        "--resume", type=Path, metavar="FOLDER", help="go on with the run in this folder"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_config_flags(parser, TrainConfig)
    add_config_flags(
        parser,
        SharedPreset,
        title="Algorithm",
        types=NUMBERS,
        skip=("policy_kwargs", "env_kwargs"),
    )
    add_config_flags(parser, PPOPreset, title="PPO only", types=NUMBERS, skip=_SHARED)
    shown = PPO_PRESETS["textgym"].policy_kwargs
    add_parameter_flags(parser, TransformerPolicy, POLICY_FLAGS, title="Policy", defaults=shown)


def new_config(args: argparse.Namespace) -> dict[str, Any]:
    """Return the config of a new run, as config.json holds it.

    Raises:
        ValueError: No environment, an unknown preset, or PPO's flags for another algorithm.
    """
    if args.env is None:
        raise ValueError("expected an environment's id, as in `textgym train RLHF-Summarize-v0`")
    algo = args.algo or "ppo"
    preset = args.preset or default_preset(args.env, algo)
    if preset not in PRESETS[algo]:
        raise ValueError(
            f"--preset must be one of {sorted(PRESETS[algo])} for {algo}, got {preset!r}"
        )
    for name in given(args, PPO_FLAGS):
        if algo != "ppo":
            raise ValueError(f"--{name.replace('_', '-')} is a flag of PPO, got --algo {algo}")
    return {
        "env_id": args.env,
        "env_kwargs": env_kwargs(args.env, args.env_kwarg),
        "algo": algo,
        "preset": preset,
        "train": asdict(config_from(args, TrainConfig)),
        "hyperparameters": given(args, SHARED_FLAGS + PPO_FLAGS),
        "policy_kwargs": given(args, POLICY_FLAGS),
    }


def resumed_config(args: argparse.Namespace, folder: RunFolder) -> dict[str, Any]:
    """Return the config of the run in `folder`, with a new budget where one was given.

    Raises:
        FileNotFoundError: The folder is no run.
        ValueError: Flags that would make it another run.
    """
    config = folder.read_config()
    changes = given(args, RESUMED_FLAGS)
    fixed = [field.name for field in fields(TrainConfig) if field.name not in RESUMED_FLAGS]
    refused = list(given(args, (*fixed, *SHARED_FLAGS, *PPO_FLAGS, *POLICY_FLAGS)))
    refused += [name for name in ("env", "algo", "preset", "output") if vars(args)[name]]
    refused += args.env_kwarg
    if refused:
        raise ValueError(
            f"--resume takes everything from the run's config.json but {', '.join(RESUMED_FLAGS)}; "
            f"got {', '.join(refused)}"
        )
    if "steps" in changes or "minutes" in changes:
        changes = {"steps": None, "minutes": None, **changes}
    return {**config, "train": {**config["train"], **changes}}


def effective_env_kwargs(config: dict[str, Any]) -> dict[str, Any]:
    """Return the preset's arguments of the environment with the user's over them."""
    return {**PRESETS[config["algo"]][config["preset"]].env_kwargs, **config["env_kwargs"]}
