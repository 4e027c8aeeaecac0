"""What an algorithm reads off its environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import wrappers
from gymnasium.vector import VectorWrapper
from gymnasium.wrappers.vector import NormalizeReward
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecEnv,
    VecEnvWrapper,
    VecMonitor,
    VecNormalize,
)

from textgym.agents.rollouts.vec_env_adapter import SettlesRewards, TextVecEnv
from textgym.masks import MaskFn
from textgym.rewards.base import RewardFn
from textgym.rewards.learned import RewardModel
from textgym.rewards.learned_ensemble import EnsembleReward, first_model
from textgym.task import TextTask
from textgym.tokenizer import Tokenizer

# These pass rewards on untouched, so rewards may be settled behind them.
TRANSPARENT_WRAPPERS = (VecMonitor, VecCheckNan)


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """The parts of a text environment that an agent needs.

    Attributes:
        action_tokens: (A,) int64, action to token id.
        eos_ids: Token ids that end a response.
        mask_fn: See `TextTask.mask_fn`; None where every action is allowed.
        tokenizer: The environment's.
        max_new_tokens: Longest response.
        reference_model: Folder or hub name of the reference, None where it is no language model.
        reward_model: Folder or hub name of the reward model, of an ensemble its first member's;
            None where there is none.
        scored_by_model: Whether a learned reward model alone gives the score, reads the very
            tokens of prompt and response, and the score at the last of them.
    """

    action_tokens: np.ndarray
    eos_ids: tuple[int, ...]
    mask_fn: MaskFn | None
    tokenizer: Tokenizer
    max_new_tokens: int
    reference_model: str | None
    reward_model: str | None
    scored_by_model: bool

    @classmethod
    def of(cls, env: VecEnv) -> TaskFacts:
        """Read the facts.

        Raises:
            ValueError: `env` is no text environment.
        """
        try:
            task: TextTask = env.get_attr("task")[0]
        except AttributeError as error:
            raise ValueError(
                f"expected a text environment (TokenEnv or TokenVectorEnv), got {env!r}, which has "
                "no `task`"
            ) from error
        path = task.config.reward_model
        return cls(
            action_tokens=task.action_tokens,
            eos_ids=task.eos_ids,
            mask_fn=task.mask_fn,
            tokenizer=task.tokenizer,
            max_new_tokens=task.config.max_new_tokens,
            reference_model=task.config.reference_model,
            reward_model=path if path is None else first_model(path),
            scored_by_model=_is_scored_by_model(task.reward),
        )


def _is_scored_by_model(reward: RewardFn) -> bool:
    if isinstance(reward, RewardModel) and reward.token_aggregate is not None:
        return False  # one token's reward is no estimate of what the response will be worth
    return isinstance(reward, RewardModel | EnsembleReward) and reward.shares_tokenizer


def require_honest_rewards(env: VecEnv) -> None:
    """Refuse environments that normalise rewards or observations.

    Raises:
        ValueError: A normaliser is among the wrappers. It would scale the environment's half of
            the KL penalty and not the agent's.
    """
    for layer in _layers(env):
        if isinstance(layer, NormalizeReward) or (
            isinstance(layer, VecNormalize) and (layer.norm_reward or layer.norm_obs)
        ):
            raise ValueError(
                f"expected an environment without {type(layer).__name__}: it would scale one half "
                "of the KL penalty only; scale the score inside the reward function instead"
            )
    if any(env.env_is_wrapped(wrappers.NormalizeReward)):
        raise ValueError(
            "expected rows without NormalizeReward: it would scale one half of the KL penalty "
            "only; scale the score inside the reward function instead"
        )


def settling_env(env: VecEnv) -> SettlesRewards | None:
    """Give the environment whose rewards may be deferred, None where they have to come by step."""
    while isinstance(env, VecEnvWrapper) and isinstance(env, TRANSPARENT_WRAPPERS):
        env = env.venv
    return env.settling if isinstance(env, TextVecEnv) else None


def unwrapped_value(env: VecEnv, name: str) -> Any:
    """Read an attribute off the first innermost environment, past any wrapper's namesake."""
    inner = env.unwrapped
    if isinstance(inner, DummyVecEnv):
        return getattr(inner.envs[0].unwrapped, name)
    if isinstance(inner, TextVecEnv):
        return inner.get_attr(name)[0]
    return env.get_attr(name)[0]


def waiting_rows(env: VecEnv) -> np.ndarray | None:
    """(N,) bool of the rows that wait for their group and whose next action is ignored, or None."""
    if group_size(env) > 1:
        return np.asarray(env.unwrapped.get_attr("is_waiting"))
    return None


def group_size(env: VecEnv) -> int:
    """How many neighbouring rows answer the same prompt, at least 1."""
    inner = env.unwrapped
    if isinstance(inner, TextVecEnv) and inner.is_native:
        return int(inner.get_attr("group_size")[0])
    return 1


def known_prompt_lengths(env: VecEnv) -> np.ndarray | None:
    """(N,) int64 prompt lengths where the environment tells them for all rows, else None."""
    inner = env.unwrapped
    if isinstance(inner, TextVecEnv) and inner.is_native:
        return np.asarray(inner.get_attr("prompt_lengths"))
    return None


def row_generators(env: VecEnv) -> Sequence[np.random.Generator]:
    """Give the generators that draw each row's prompts, none where they are out of reach."""
    inner = env.unwrapped
    if isinstance(inner, TextVecEnv) and inner.is_native:
        return tuple(inner.get_attr("np_random"))
    if isinstance(inner, DummyVecEnv):
        return tuple(one.unwrapped.np_random for one in inner.envs)
    return ()


def environment_record(env: VecEnv) -> dict[str, Any]:
    """Say in plain values what the environment was, for people and for making it again."""
    inner = env.unwrapped
    spec = inner.env.spec if isinstance(inner, TextVecEnv) else None
    return {
        "id": None if spec is None else spec.id,
        "kwargs": {} if spec is None else _plain_kwargs(spec.kwargs),
        "num_envs": env.num_envs,
        "kl_coef": float(unwrapped_value(env, "kl_coef")),
        "temperature": float(unwrapped_value(env, "temperature")),
    }


def _plain_kwargs(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    plain = (str, int, float, bool, type(None))
    return {name: value for name, value in kwargs.items() if isinstance(value, plain)}


def _layers(env: VecEnv) -> list[Any]:
    layers: list[Any] = []
    one: Any = env
    while isinstance(one, VecEnvWrapper):
        layers.append(one)
        one = one.venv
    one = one.env if isinstance(one, TextVecEnv) else None
    while isinstance(one, VectorWrapper):
        layers.append(one)
        one = one.env
    return layers
