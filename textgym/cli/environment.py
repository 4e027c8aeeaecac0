"""The flags by which every command names an environment."""

from __future__ import annotations

import argparse
import sys
import typing
from typing import Any

import gymnasium as gym
import transformers.utils.logging
from gymnasium.envs.registration import load_env_creator

from textgym.cli.flags import parse_assignments, with_newlines
from textgym.cli.manual_parser import nearest
from textgym.config import TextEnvConfig
from textgym.env_ids import spec_of
from textgym.env_parts import EnvParts
from textgym.envs_registry.specs import ENVIRONMENTS
from textgym.wrappers.feedback_env import FeedbackEnvConfig

_TEXTS = ("prompt_template", "stop")  # a shell passes their line ends as two characters


def add_env_arguments(
    parser: argparse.ArgumentParser, *, positional: bool, required: bool = True
) -> None:
    """Add the environment's id (`ENV`, or `--env ENV`) and `--env-kwarg`."""
    help_text = "environment id, as in `textgym envs`; `module:ID` imports a module of yours first"
    if positional:
        parser.add_argument("env", metavar="ENV", help=help_text, nargs=None if required else "?")
    else:
        parser.add_argument("--env", metavar="ENV", help=help_text, required=required)
    parser.add_argument(
        "--env-kwarg",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="argument of the environment, such as max_new_tokens=32 or reward=gold; may be given "
        "several times",
    )


def load_quietly() -> None:
    """Switch off transformers' own bars for loading weights; the commands have their own."""
    transformers.utils.logging.disable_progress_bar()


def env_kwargs(env_id: str, assignments: list[str]) -> dict[str, Any]:
    """Return the environment's arguments, typed and checked as its config has them.

    Raises:
        ValueError: An unknown id (the nearest is named), an environment without text, something
            that is not `name=value`, or a value of the wrong type or out of range.
        TypeError: An unknown argument (the nearest is named).
    """
    env_class, config_class = _classes_of(env_id)
    if issubclass(config_class, FeedbackEnvConfig):
        raise ValueError(f"{env_id!r} has no text: `textgym feedback-loop {env_id}` trains on it")
    if not issubclass(config_class, TextEnvConfig):
        raise ValueError(
            f"{env_id!r} has no tokens to write: `textgym benchmark --envs {env_id}` trains on it"
        )
    given = parse_assignments(assignments, typing.get_type_hints(config_class))
    given.update({name: with_newlines(given[name]) for name in _TEXTS if name in given})
    if env_class is not None:
        config_class.from_kwargs(**{**env_class.default_kwargs, **spec_of(env_id).kwargs, **given})
    return given


def config_class_of(env_id: str) -> type[Any]:
    """Return the config class of a registered environment.

    Raises:
        ValueError: An unknown id (the nearest is named).
    """
    return _classes_of(env_id)[1]


def _classes_of(env_id: str) -> tuple[type[EnvParts] | None, type[Any]]:
    if ":" in env_id and "" not in sys.path:
        sys.path.insert(0, "")  # a module of the user's lies where the command is called
    try:
        spec = spec_of(env_id)
    except gym.error.UnregisteredEnv as error:
        known = [row.id for row in ENVIRONMENTS]
        raise ValueError(
            f"unknown environment {env_id!r}{nearest(env_id, known)} (`textgym envs` lists them)"
        ) from error
    creator = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else None
    if isinstance(creator, type) and issubclass(creator, EnvParts):
        return creator, creator.config_class
    config_class = getattr(creator, "config_class", None)
    if config_class is not None:
        return None, config_class
    if isinstance(creator, type) and creator.__module__.startswith("gymnasium."):
        raise ValueError(
            f"{env_id!r} has no text: `textgym feedback-loop {env_id}` trains on it from feedback, "
            "Stable-Baselines3's own algorithms on its reward"
        )
    return None, TextEnvConfig
