"""Train a language model on an environment with reinforcement learning.

The policy starts as the environment's reference model (or --model), is trained by PPO or A2C
against the environment's reward with a KL penalty towards the reference, and is then compared
with the reference on held-out prompts. Everything goes into one folder, runs/ENV-ALGO-SEED-TIME:
config.json, versions.json, progress.csv, TensorBoard events, samples.jsonl, checkpoints/, final/,
figures/ and result.json. Ctrl-C ends training early and saves; --resume FOLDER goes on.

Examples:
  textgym train RLHF-Summarize-v0
  textgym train RLHF-Summarize-v0 --algo a2c --seed 1 --steps 100000
  textgym train RLHF-Summarize-v0 --env-kwarg reward=gold --kl-coef 0.02 --minutes 5
  textgym train --resume runs/RLHF-Summarize-v0-ppo-0-20260131-120000 --steps 400000
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.callbacks import CallbackList

from textgym.agents.before_after import (
    BeforeAfter,
    compare_with_reference,
    comparison_table,
    pairs_text,
    sample_pairs,
)
from textgym.agents.checkpoint import save_json
from textgym.agents.evaluation import EvaluationConfig, make_evaluation_env
from textgym.agents.figures import draw_figures
from textgym.agents.judges import judge_named, reward_judge
from textgym.agents.policies import TransformerPolicy
from textgym.agents.policy_sources import ALGORITHMS
from textgym.agents.presets import A2C_PRESETS, PPO_PRESETS, PPOPreset, SharedPreset
from textgym.agents.run_folder import RunFolder
from textgym.agents.run_recording import EarlyStop, ProgressBar, RunRecorder, interrupts_noted
from textgym.cli.environment import add_env_arguments, env_kwargs, load_quietly
from textgym.cli.flags import add_config_flags, add_parameter_flags, config_from, given

# Transitions (tokens) that a training run takes where neither --steps nor --minutes says so.
# RLHF-Summarize-v0 must stay within 8 minutes on two CPU cores.
DEFAULT_STEPS = {"RLHF-Summarize-v0": 300_000, "Probe-ExactKL-v0": 60_000}
FALLBACK_STEPS = 300_000

NO_END = 10**12  # steps of a run that is bounded by time
TABLE = ("score", "gold_score", "kl", "length", "eos_rate", "win_rate")
POLICY_FLAGS = (
    "model",
    "value",
    "value_init",
    "dtype",
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
SHARED_FLAGS = tuple(f.name for f in fields(SharedPreset) if not f.name.endswith("_kwargs"))
PPO_FLAGS = tuple(f.name for f in fields(PPOPreset) if f.name not in SharedPreset.__annotations__)


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
    parser.add_argument("--algo", choices=sorted(ALGORITHMS), help="algorithm [default: ppo]")
    parser.add_argument(
        "--preset",
        help=f"table of defaults for the flags below: {', '.join(PPO_PRESETS)} "
        "[default: textgym, whose values are shown]",
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
    add_config_flags(parser, PPOPreset, title="PPO only", types=NUMBERS, skip=_not_ppo())
    add_parameter_flags(parser, TransformerPolicy, POLICY_FLAGS, title="Policy")


def run(args: argparse.Namespace) -> int:
    """Train, compare, and say where everything is."""
    load_quietly()
    if args.resume is None:
        folder, config = _new_run(args)
    else:
        folder, config = _old_run(args)
    settings = TrainConfig(**config["train"])
    sys.stdout.write(f"run: {folder.path}\n")
    agent = _make_agent(config, settings, folder if args.resume else None)
    agent.set_logger(folder.logger())
    started = time.monotonic()
    with interrupts_noted() as is_interrupted:
        stopped_by = _learn(agent, config, settings, folder, is_interrupted, args.quiet)
    minutes = (time.monotonic() - started) / 60
    agent.save(folder.final)
    figures = draw_figures(folder.progress_files(), folder.figures)
    result: dict[str, Any] = {
        "env_id": config["env_id"],
        "algo": config["algo"],
        "seed": settings.seed,
        "num_timesteps": agent.num_timesteps,
        "minutes_of_training": minutes,
        "stopped_by": stopped_by,
        "figures": [figure.name for figure in figures],
    }
    sys.stdout.write(f"trained on {agent.num_timesteps:,} tokens in {minutes:.1f} minutes\n")
    if settings.eval_prompts:
        compared = _compare(agent, config, settings)
        pairs = sample_pairs(compared)
        result.update(compared.as_dict(), samples=pairs)
        sys.stdout.write(f"\n{comparison_table(compared, TABLE)}\n\n{pairs_text(pairs)}\n\n")
    save_json(folder.path / "result.json", result)
    for figure in figures[:1]:
        sys.stdout.write(f"figures: {figure.parent} (see {figure.name})\n")
    sys.stdout.write(f"agent: {folder.final}\n")
    return 0


def _new_run(args: argparse.Namespace) -> tuple[RunFolder, dict[str, Any]]:
    if args.env is None:
        raise ValueError("expected an environment's id, as in `textgym train RLHF-Summarize-v0`")
    algo = args.algo or "ppo"
    settings = config_from(args, TrainConfig)
    config = {
        "env_id": args.env,
        "env_kwargs": env_kwargs(args.env, args.env_kwarg),
        "algo": algo,
        "preset": args.preset or "textgym",
        "train": asdict(settings),
        "hyperparameters": given(args, SHARED_FLAGS + PPO_FLAGS),
        "policy_kwargs": given(args, POLICY_FLAGS),
    }
    presets: Any = {"ppo": PPO_PRESETS, "a2c": A2C_PRESETS}[algo]
    if config["preset"] not in presets:
        raise ValueError(
            f"--preset must be one of {sorted(presets)} for {algo}, got {config['preset']!r}"
        )
    only_ppo = given(args, PPO_FLAGS)
    if algo != "ppo" and only_ppo:
        raise ValueError(f"--{next(iter(only_ppo)).replace('_', '-')} is a flag of PPO, got {algo}")
    folder = RunFolder.create(args.output or "runs", args.env, algo, settings.seed)
    folder.write_config(config)
    return folder, config


def _old_run(args: argparse.Namespace) -> tuple[RunFolder, dict[str, Any]]:
    folder = RunFolder(args.resume)
    config = folder.read_config()
    changes = given(args, ("steps", "minutes", "device", "eval_prompts"))
    fixed = [f.name for f in fields(TrainConfig) if f.name not in changes]
    refused = list(given(args, (*fixed, *SHARED_FLAGS, *PPO_FLAGS, *POLICY_FLAGS)))
    refused += [name for name in ("env", "algo", "preset", "output") if vars(args)[name]]
    if refused or args.env_kwarg:
        raise ValueError(
            f"--resume takes everything from the run's config.json but --steps, --minutes, "
            f"--device and --eval-prompts; got {', '.join([*refused, *args.env_kwarg])}"
        )
    if "steps" in changes or "minutes" in changes:
        changes = {"steps": None, "minutes": None, **changes}
    return folder, {**config, "train": {**config["train"], **changes}}


def _make_agent(config: dict[str, Any], settings: TrainConfig, resumed: RunFolder | None) -> Any:
    algorithm = ALGORITHMS[config["algo"]]
    if resumed is not None:
        env = gym.make_vec(
            config["env_id"], num_envs=settings.n_envs, **_effective_env_kwargs(config)
        )
        return algorithm.load(resumed.newest_agent(), env=env, device=settings.device)
    return algorithm(
        "TransformerPolicy",
        config["env_id"],
        preset=config["preset"],
        n_envs=settings.n_envs,
        env_kwargs=config["env_kwargs"],
        policy_kwargs=config["policy_kwargs"],
        seed=settings.seed,
        device=settings.device,
        **config["hyperparameters"],
    )


def _effective_env_kwargs(config: dict[str, Any]) -> dict[str, Any]:
    """The preset's arguments of the environment with the user's over them."""
    presets: Any = {"ppo": PPO_PRESETS, "a2c": A2C_PRESETS}[config["algo"]]
    return {**presets[config["preset"]].env_kwargs, **config["env_kwargs"]}


def _learn(
    agent: Any,
    config: dict[str, Any],
    settings: TrainConfig,
    folder: RunFolder,
    is_interrupted: Any,
    quiet: bool,
) -> str | None:
    """Train until the budget is spent; return why it ended early, None where it did not."""
    seconds = None if settings.minutes is None else 60 * settings.minutes
    budget = settings.steps or DEFAULT_STEPS.get(config["env_id"], FALLBACK_STEPS)
    total = budget if seconds is None else agent.num_timesteps + NO_END
    if total <= agent.num_timesteps:
        raise ValueError(
            f"the run has trained on {agent.num_timesteps} tokens already, got --steps {total}"
        )
    stop = EarlyStop(seconds, is_interrupted)
    recorder = RunRecorder(
        folder,
        sample_every=settings.sample_every,
        checkpoint_every=settings.checkpoint_every,
    )
    callbacks = CallbackList([stop, recorder, ProgressBar(total, seconds, disable=quiet)])
    agent.learn(
        total - agent.num_timesteps,
        callback=callbacks,
        log_interval=1,
        reset_num_timesteps=agent.num_timesteps == 0,
    )
    return stop.reason


def _compare(agent: Any, config: dict[str, Any], settings: TrainConfig) -> BeforeAfter:
    evaluation = EvaluationConfig(n_prompts=settings.eval_prompts, seed=settings.seed)
    kwargs = {**_effective_env_kwargs(config), "device": settings.device}
    env = make_evaluation_env(config["env_id"], evaluation, **kwargs)
    core: Any = env.unwrapped
    judge = judge_named(None, core.task)
    if judge is None and core.task.config.reference_model is not None:
        judge = reward_judge(core.task)
    agent.policy.temperature = evaluation.temperature
    agent.policy.seed_sampling(settings.seed)
    return compare_with_reference(env, agent.policy, evaluation, judge, device=settings.device)


def _not_ppo() -> tuple[str, ...]:
    return tuple(field.name for field in fields(SharedPreset))
