r"""Learn a reward from feedback and a policy from the reward, in rounds, on a budget.

Each round the policy acts, a simulated teacher is asked about what it did, a reward is learned from
all answers so far, and the policy is improved on it; the environment's own reward (of text: the
gold utility) is only measured. ENV is a control environment, where segments of trajectories are
judged: RLHF-CartPole-v0, RLHF-LunarLander-v0 (`textgym[box2d]`), or any other of Gymnasium's; or a
text environment with a gold utility and a reference model, where responses are judged and a
transformer is the reward. The output folder gets result.json, and for each seed the answers
(feedback.db) and the state: an interrupted run is continued by the same command.

Examples:
  textgym feedback-loop RLHF-CartPole-v0 --budget 200 --n-seeds 3
  textgym feedback-loop RLHF-CartPole-v0 --teacher "beta=2,eps_mistake=0.1" \
      --selection disagreement
  textgym feedback-loop Pendulum-v1 --feedback-kind score --segment-length 20
  textgym feedback-loop RLHF-Summarize-v0 --budget 1000 --selection disagreement
  textgym feedback-loop RLHF-Summarize-v0 --feedback-kind comparison+score+language
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator
from tqdm.auto import tqdm

from textgym.agents.feedback_loop.control_run import ControlRunConfig, run_control
from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.feedback_loop.seed_runs import result_table
from textgym.agents.feedback_loop.text_run import (
    OF_THE_ENVIRONMENT,
    PLAN,
    REWARD,
    TextRunConfig,
    check_environment,
    run_text,
)
from textgym.agents.feedback_loop.text_settings import TextLoopSettings
from textgym.agents.reward_learning.text_training import TextRewardConfig
from textgym.agents.reward_learning.vector_training import VectorRewardConfig
from textgym.cli.environment import env_kwargs, load_quietly
from textgym.cli.flags import add_config_flags, config_from, given
from textgym.cli.manual_parser import nearest
from textgym.env_parts import EnvParts
from textgym.envs_registry.specs import ENVIRONMENTS
from textgym.feedback.prices import Prices
from textgym.feedback.segment_feedback import SegmentFeedbackConfig
from textgym.feedback.teachers import TeacherConfig

_NOT_OF_SEGMENTS = ("ask_every", "questions", "feedback_seed")
_NOT_OF_REWARDS = (
    "seed",
    "max_steps",
    "max_seconds",
    "min_learning_rate_fraction",
    "warmup_fraction",
    "adam_beta2",
    "max_grad_norm",
    "eval_every",
    "save_seconds",
    "precision",
    "device",
    "language_weight",
)
_SHARED = ("feedback_kind", "selection")
_PRICES = ("score", "comparison", "language", "action", "skip_share")
_ONLY_CONTROL = (
    *("segment_length", "pool_size", "initial_share_of_steps"),
    *("width", "depth", "reduction"),
)
_NOT_OF_TEXT = (*_SHARED, "ppo")
_ONLY_TEXT = (
    *(field.name for field in fields(TextLoopSettings) if field.name not in _NOT_OF_TEXT),
    "language_weight",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym feedback-loop`."""
    parser.add_argument("env", metavar="ENV", help="id of an environment, see above")
    parser.add_argument("--n-seeds", type=int, default=1, help="runs [default: 1]")
    parser.add_argument(
        "--baseline",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also train PPO for as many steps on the true reward [default: yes]",
    )
    parser.add_argument(
        "--teacher",
        default="",
        metavar="KNOBS",
        help='who answers, "knob=value,knob=value", such as "beta=2,eps_mistake=0.1"; see '
        "docs/feedback.md [default: by the true return, without a mistake]",
    )
    defaults = Prices()
    for name in _PRICES:
        default = getattr(defaults, name)
        parser.add_argument(
            f"--price-{name.replace('_', '-')}",
            type=float,
            default=default,
            help=f"see `Prices.{name}` in docs/feedback.md [default: {default:g}]",
        )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the run; one that was interrupted goes on [default: "
        "runs/feedback-loop-ENV]",
    )
    add_config_flags(parser, LoopPlan, title=f"Plan (of text: {_said(PLAN)})")
    add_config_flags(parser, SegmentFeedbackConfig, skip=_NOT_OF_SEGMENTS)
    add_config_flags(
        parser,
        VectorRewardConfig,
        title=f"Learning the reward (of text: {_said(REWARD)}, learning_rate=0.0003, rate in "
        "batches of tokens; width, depth and reduction are of control)",
        skip=_NOT_OF_REWARDS,
    )
    add_config_flags(parser, TextLoopSettings, title="Text environments only", skip=_NOT_OF_TEXT)
    text = parser.add_argument_group("Text environments only, further")
    text.add_argument(
        "--language-weight",
        type=float,
        default=argparse.SUPPRESS,
        help="weight of the language term [default: 1]",
    )
    text.add_argument(
        "--env-kwarg",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="argument of the environment; may be given several times",
    )


def run(args: argparse.Namespace) -> int:
    """Run every seed, print the table and say where the result lies."""
    shared: dict[str, Any] = {
        "env_id": args.env,
        "n_seeds": args.n_seeds,
        "teacher": TeacherConfig.parse(args.teacher),
        "prices": Prices(**{name: getattr(args, f"price_{name}") for name in _PRICES}),
        "has_baseline": args.baseline,
    }
    output = args.output or Path("runs") / f"feedback-loop-{args.env.replace('/', '_')}"
    if is_text(args.env):
        _refuse(args, _ONLY_CONTROL, "control")
        load_quietly()
        text = _text_config(args, shared)
        check_environment(text)
        with _bar(text.all_steps, "tok") as bar:
            results = run_text(text, output, _reporter(bar))
    else:
        _refuse(args, _ONLY_TEXT, "text")
        control = ControlRunConfig(
            **shared,
            plan=config_from(args, LoopPlan),
            feedback=config_from(args, SegmentFeedbackConfig),
            reward=config_from(args, VectorRewardConfig, seed=0),
        )
        with _bar(control.all_steps, "step") as bar:
            results = run_control(control, output, _reporter(bar))
    sys.stdout.write(f"{result_table(results)}\nresult: {output / 'result.json'}\n")
    return 0


def is_text(env_id: str) -> bool:
    """Whether an id is of a text environment.

    Raises:
        ValueError: It does not exist; the nearest is named.
    """
    try:
        entry_point = gym.spec(env_id).entry_point
    except gym.error.Error as error:
        known = [row.id for row in ENVIRONMENTS]
        raise ValueError(f"unknown environment {env_id!r}{nearest(env_id, known)}") from error
    made = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    return isinstance(made, type) and issubclass(made, EnvParts)


def _text_config(args: argparse.Namespace, shared: dict[str, Any]) -> TextRunConfig:
    plan = given(args, [field.name for field in fields(LoopPlan)])
    reward = given(args, [field.name for field in fields(TextRewardConfig)])
    return TextRunConfig(
        **shared,
        plan=LoopPlan(**{**PLAN, **plan}),
        text=config_from(args, TextLoopSettings),
        reward=TextRewardConfig(**{"model": OF_THE_ENVIRONMENT, **REWARD, **reward}),
        env_kwargs=env_kwargs(args.env, args.env_kwarg),
    )


def _refuse(args: argparse.Namespace, names: Collection[str], family: str) -> None:
    """Reject flags that are of the other family of environments."""
    wrong = list(given(args, names))
    if family == "text" and args.env_kwarg:
        wrong.append("env_kwarg")
    if wrong:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise ValueError(f"{flags}: only for {family} environments, got {args.env!r}")


def _said(defaults: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in defaults.items())


def _bar(total: int, unit: str) -> tqdm:
    return tqdm(total=total, unit=unit, unit_scale=True, mininterval=1.0)


def _reporter(bar: tqdm) -> Callable[[int, str], None]:
    def report(done: int, words: str) -> None:
        bar.set_postfix_str(words, refresh=False)
        bar.update(done)

    return report
