"""Train a language model on an environment with reinforcement learning.

The policy starts as the environment's reference model (or --model), is trained by PPO or A2C
against the environment's reward with a KL penalty towards the reference, and is then compared
with the reference on held-out prompts. Everything goes into one folder, runs/ENV-ALGO-SEED-TIME:
config.json, versions.json, progress.csv, TensorBoard events, samples.jsonl, checkpoints/, final/,
figures/ and result.json, and feedback.db where a teacher is asked. Ctrl-C ends training early and
saves; --resume FOLDER goes on, with the teacher and the budget as they were.

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
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.vec_env import VecEnv

from textgym.agents.evaluation.before_after import (
    BeforeAfter,
    compare_with_reference,
    comparison_table,
    pairs_text,
    sample_pairs,
)
from textgym.agents.evaluation.held_out import EvaluationConfig, make_evaluation_env
from textgym.agents.evaluation.judges import judge_named, reward_judge
from textgym.agents.evaluation.policy_sources import ALGORITHMS
from textgym.agents.rollouts.asked_rewards import saved_rewards
from textgym.agents.rollouts.device_memory import OutOfMemory, require_memory
from textgym.agents.rollouts.memory_estimate import MemoryEstimate, estimate_memory
from textgym.agents.rollouts.vec_env_adapter import as_vec_env
from textgym.agents.run_defaults import default_steps
from textgym.agents.runs.figures import draw_figures
from textgym.agents.runs.run_folder import RunFolder
from textgym.agents.runs.run_recording import EarlyStop, ProgressBar, RunRecorder, interrupts_noted
from textgym.agents.storage.checkpoint import save_json
from textgym.cli import train_config
from textgym.cli.environment import load_quietly
from textgym.cli.train_config import (
    TrainConfig,
    effective_env_kwargs,
    new_config,
    resumed_config,
)

NO_END = 10**12  # steps of a run that is bounded by time
TABLE = ("score", "gold_score", "kl", "length", "eos_rate", "win_rate")

Config = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym train`."""
    train_config.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train, compare, and say where everything is."""
    load_quietly()
    if args.resume is None:
        config = new_config(args)
        settings = TrainConfig(**config["train"])
        agent = _new_agent(config, settings)
        memory = _fitting(agent)
        folder = RunFolder.create(
            args.output or "runs", config["env_id"], config["algo"], settings.seed
        )
        folder.write_config({**config, "resolved": _resolved(agent)})
        _keep_answers(agent.env, folder)
    else:
        folder = RunFolder(args.resume)
        config = resumed_config(args, folder)
        settings = TrainConfig(**config["train"])
        agent = _old_agent(config, settings, folder)
        memory = _fitting(agent)
    budget = _budget(agent, config, settings)
    sys.stdout.write(f"run: {folder.path}\n{memory.line()}\n")
    sys.stdout.flush()
    agent.set_logger(folder.logger())
    result = _train(agent, budget, settings, folder, args.quiet)
    result = {"env_id": config["env_id"], "algo": config["algo"], **result}
    save_json(folder.path / "result.json", result)
    if settings.eval_prompts:
        compared = _compare(agent, config, settings)
        pairs = sample_pairs(compared)
        result.update(compared.as_dict(), samples=pairs)
        sys.stdout.write(f"\n{comparison_table(compared, TABLE)}\n\n{pairs_text(pairs)}\n\n")
    save_json(folder.path / "result.json", result)
    if result["figures"]:
        sys.stdout.write(f"figures: {folder.figures / result['figures'][0]}\n")
    sys.stdout.write(f"agent: {folder.final}\n")
    return 0


def _new_agent(config: Config, settings: TrainConfig) -> Any:
    return ALGORITHMS[config["algo"]](
        "TransformerPolicy",
        config["env_id"],
        preset=config["preset"],
        n_envs=settings.n_envs,
        env_kwargs={"device": settings.device, **config["env_kwargs"]},
        policy_kwargs=config["policy_kwargs"],
        seed=settings.seed,
        device=settings.device,
        **config["hyperparameters"],
    )


def _old_agent(config: Config, settings: TrainConfig, folder: RunFolder) -> Any:
    kwargs = {"device": settings.device, **effective_env_kwargs(config)}
    env = as_vec_env(
        gym.make_vec(config["env_id"], num_envs=settings.n_envs, **kwargs), settles=True
    )
    _keep_answers(env, folder)
    algorithm = ALGORITHMS[config["algo"]]
    return algorithm.load(folder.newest_agent(), env=env, device=settings.device)


def _keep_answers(env: VecEnv, folder: RunFolder) -> None:
    """Keep what a teacher answers with the run, unless the environment was told where."""
    for reward in saved_rewards(env):
        reward.keep_answers(folder.answers)


def _fitting(agent: Any) -> MemoryEstimate:
    """Estimate the memory of one iteration; raises ValueError where it does not fit."""
    estimate = estimate_memory(agent)
    require_memory(estimate, agent.device)
    return estimate


def _resolved(agent: Any) -> Config:
    """What presets, the environment and the kind of model left to be found out."""
    return {
        "learning_rate": str(agent.learning_rate),
        "n_steps": agent.n_steps,
        "gamma": agent.gamma,
        "gae_lambda": agent.gae_lambda,
        "kl_coef": agent.kl_controller.kl_coef,
        "temperature": agent.policy.temperature,
        "model": agent.policy.model,
        "reference_model": agent.facts.reference_model,
        "reward_model": agent.facts.reward_model,
        "device": str(agent.device),
    }


def _train(
    agent: Any, budget: int, settings: TrainConfig, folder: RunFolder, quiet: bool
) -> Config:
    """Train, save the agent and the figures, and return what result.json says of it."""
    started = time.monotonic()
    with interrupts_noted() as is_interrupted:
        try:
            stopped_by = _learn(agent, budget, settings, folder, is_interrupted, quiet)
        except OutOfMemory as error:
            saved = folder.checkpoint_folders()
            kept = f"the last checkpoint is {saved[-1]}" if saved else "no checkpoint was due yet"
            raise OutOfMemory(f"{error}; {kept}") from error
    minutes = (time.monotonic() - started) / 60
    agent.save(folder.final)
    figures = draw_figures(folder.progress_files(), folder.figures)
    early = f" (stopped by {stopped_by})" if stopped_by else ""
    sys.stdout.write(f"trained on {agent.num_timesteps:,} tokens in {minutes:.1f} minutes{early}\n")
    return {
        "seed": settings.seed,
        "num_timesteps": agent.num_timesteps,
        "minutes_of_training": minutes,
        "stopped_by": stopped_by,
        "figures": [figure.name for figure in figures],
    }


def _budget(agent: Any, config: Config, settings: TrainConfig) -> int:
    """Return how many tokens the run has seen when it is done."""
    if settings.minutes is not None:
        return agent.num_timesteps + NO_END
    total = settings.steps or default_steps(config["env_id"])
    if total <= agent.num_timesteps:
        raise ValueError(
            f"expected --steps above the {agent.num_timesteps} that the run has trained on, "
            f"got {total}"
        )
    return total


def _learn(
    agent: Any,
    budget: int,
    settings: TrainConfig,
    folder: RunFolder,
    is_interrupted: Callable[[], bool],
    quiet: bool,
) -> str | None:
    """Train until the budget is spent; return why it ended early, None where it did not."""
    seconds = None if settings.minutes is None else 60 * settings.minutes
    stop = EarlyStop(seconds, is_interrupted)
    recorder = RunRecorder(
        folder,
        sample_every=settings.sample_every,
        checkpoint_every=settings.checkpoint_every,
    )
    agent.learn(
        budget - agent.num_timesteps,
        callback=CallbackList([stop, recorder, ProgressBar(budget, seconds, disable=quiet)]),
        log_interval=1,
        reset_num_timesteps=agent.num_timesteps == 0,
    )
    return stop.reason


def _compare(agent: Any, config: Config, settings: TrainConfig) -> BeforeAfter:
    evaluation = EvaluationConfig(n_prompts=settings.eval_prompts, seed=settings.seed)
    kwargs = {"device": settings.device, **effective_env_kwargs(config)}
    env = make_evaluation_env(config["env_id"], evaluation, **kwargs)
    core: Any = env.unwrapped
    judge = judge_named(None, core.task)
    if judge is None and core.task.config.reference_model is not None:
        judge = reward_judge(core.task)
    agent.policy.temperature = evaluation.temperature
    agent.policy.seed_sampling(settings.seed)
    return compare_with_reference(env, agent.policy, evaluation, judge, device=settings.device)
