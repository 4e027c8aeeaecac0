r"""Learn a reward from feedback and a policy from the reward, in rounds, on a budget.

Each round the policy acts, segments of what it did are shown to a simulated teacher, a reward is
learned from all answers so far, and the policy is improved on it; the environment's own reward is
kept as gold and only measured. ENV is a control environment: RLHF-CartPole-v0,
RLHF-LunarLander-v0 (`textgym[box2d]`), or any other of Gymnasium's without text. The output folder
gets result.json, and for each seed the answers (feedback.db) and the state: an interrupted run is
continued by the same command.

Examples:
  textgym feedback-loop RLHF-CartPole-v0 --budget 200 --n-seeds 3
  textgym feedback-loop RLHF-CartPole-v0 --teacher "beta=2,eps_mistake=0.1" \
      --selection disagreement
  textgym feedback-loop Pendulum-v1 --feedback-kind score --segment-length 20
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
from tqdm.auto import tqdm

from textgym.agents.feedback_loop.control_run import (
    ControlRunConfig,
    result_table,
    run_control,
)
from textgym.agents.feedback_loop.plan import LoopPlan
from textgym.agents.reward_learning.vector_training import VectorRewardConfig
from textgym.cli.flags import add_config_flags, config_from, nearest
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
_PRICES = ("score", "comparison", "action", "skip_share")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `textgym feedback-loop`."""
    parser.add_argument("env", metavar="ENV", help="id of a control environment, see above")
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
        "docs/feedback.md [default: by the true return of the segments, without a mistake]",
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
    add_config_flags(parser, LoopPlan)
    add_config_flags(parser, SegmentFeedbackConfig, skip=_NOT_OF_SEGMENTS)
    add_config_flags(parser, VectorRewardConfig, skip=_NOT_OF_REWARDS)


def run(args: argparse.Namespace) -> int:
    """Run every seed, print the table and say where the result lies."""
    _check_environment(args.env)
    config = ControlRunConfig(
        env_id=args.env,
        plan=config_from(args, LoopPlan),
        n_seeds=args.n_seeds,
        feedback=config_from(args, SegmentFeedbackConfig),
        reward=config_from(args, VectorRewardConfig, seed=0),
        teacher=TeacherConfig.parse(args.teacher),
        prices=Prices(**{name: getattr(args, f"price_{name}") for name in _PRICES}),
        has_baseline=args.baseline,
    )
    output = args.output or Path("runs") / f"feedback-loop-{args.env.replace('/', '_')}"
    with tqdm(total=config.all_steps, unit="step", mininterval=1.0) as bar:
        results = run_control(config, output, _reporter(bar))
    sys.stdout.write(f"{result_table(results)}\nresult: {output / 'result.json'}\n")
    return 0


def _reporter(bar: tqdm) -> Callable[[int, str], None]:
    def report(done: int, words: str) -> None:
        bar.set_postfix_str(words, refresh=False)
        bar.update(done)

    return report


def _check_environment(env_id: str) -> None:
    """Reject an id that does not exist, and text environments."""
    try:
        gym.spec(env_id)
    except gym.error.Error as error:
        control = [row.id for row in ENVIRONMENTS if row.family == "control"]
        raise ValueError(f"unknown environment {env_id!r}{nearest(env_id, control)}") from error
    if any(row.id == env_id and row.family != "control" for row in ENVIRONMENTS):
        raise ValueError(
            f"feedback-loop works on control environments, got the text environment {env_id!r}"
        )
