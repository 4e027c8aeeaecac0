"""What stands between an algorithm's constructor and SB3's: environment, sizes, defaults."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch as th
from gymnasium.envs.registration import load_env_creator
from stable_baselines3.common.vec_env import VecEnv

from textgym.agents.learning_rate import default_learning_rate
from textgym.agents.policies.model_building import DEFAULT_SCRATCH, model_kind
from textgym.agents.presets import AUTO_VALUE, SharedPreset
from textgym.agents.rollouts.task_facts import TaskFacts, require_honest_rewards
from textgym.agents.rollouts.vec_env_adapter import as_vec_env
from textgym.env_ids import spec_of
from textgym.env_parts import EnvParts
from textgym.models.loading import resolve_device

REWARD_MODEL = "reward_model"

# With the bundled models, one run each: a shared head explains nothing of the returns (explained
# variance about 0) and 0.9 slowed it; a separate one explains half and learned faster with 0.9.
DEFAULT_GAE_LAMBDAS = {"shared": 0.95, "separate": 0.9}


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What was made for one algorithm.

    Attributes:
        env: The environment, None to load into.
        facts: What it is made of, None without one.
        n_steps: Steps per environment and rollout.
        learning_rate: A rate or schedule.
        gae_lambda: See `generalized_advantages`.
        policy_kwargs: The user's over the preset's.
    """

    env: VecEnv | None
    facts: TaskFacts | None
    n_steps: int
    learning_rate: Any
    gae_lambda: float
    policy_kwargs: dict[str, Any]

    @property
    def n_envs(self) -> int:
        """Rows; 2 without an environment, for SB3's checks only."""
        return 2 if self.env is None else self.env.num_envs

    def algorithm_arguments(
        self, settings: SharedPreset, device: th.device | str
    ) -> dict[str, Any]:
        """Give the arguments that SB3's PPO and A2C share."""
        return {
            "learning_rate": self.learning_rate,
            "n_steps": self.n_steps,
            "gamma": settings.gamma,
            "gae_lambda": self.gae_lambda,
            "normalize_advantage": settings.normalize_advantage
            and settings.advantage_norm == "batch",
            "ent_coef": settings.ent_coef,
            "vf_coef": settings.vf_coef,
            "max_grad_norm": settings.max_grad_norm,
            "policy_kwargs": self.policy_kwargs,
            "device": resolve_device(device),
        }


def prepare(settings: SharedPreset, env: Any, n_envs: int) -> Prepared:
    """Make the environment and fill in what depends on it.

    Args:
        settings: Preset with the user's values.
        env: See `as_vec_env`; None to load into.
        n_envs: Rows made for an id.

    Raises:
        ValueError: The environment is no text environment, or normalises rewards.
    """
    vec_env = facts = None
    if env is not None:
        vec_env, facts = _text_vec_env(env, n_envs, settings.env_kwargs)
    policy_kwargs = _policy_kwargs(settings.policy_kwargs, facts)
    n_steps = settings.n_steps
    if n_steps is None:
        n_steps = 2 if facts is None else 2 * facts.max_new_tokens
    learning_rate = settings.learning_rate
    if learning_rate is None:
        learning_rate = default_learning_rate(model_kind(_model_of(policy_kwargs, facts)))
    gae_lambda = settings.gae_lambda
    if gae_lambda is None:
        gae_lambda = DEFAULT_GAE_LAMBDAS.get(policy_kwargs.get("value", "shared"), 0.95)
    return Prepared(
        env=vec_env,
        facts=facts,
        n_steps=n_steps,
        learning_rate=learning_rate,
        gae_lambda=gae_lambda,
        policy_kwargs=policy_kwargs,
    )


def _text_vec_env(env: Any, n_envs: int, env_kwargs: Mapping[str, Any]) -> tuple[VecEnv, TaskFacts]:
    """Make the rows; where that fails, an environment without text is called by its name."""
    try:
        vec_env = as_vec_env(env, n_envs, settles=True, env_kwargs=env_kwargs)
        require_honest_rewards(vec_env)
        return vec_env, TaskFacts.of(vec_env)
    except (TypeError, ValueError) as error:
        if not _is_without_text(env):
            raise
        name = env if isinstance(env, str) else str(env.spec.id if env.spec else env)
        raise ValueError(
            f"expected a text environment, such as 'RLHF-Summarize-v0', got {name!r}, which has no "
            "tokens to write: Stable-Baselines3's own PPO and A2C train on it"
        ) from error


def _is_without_text(env: Any) -> bool:
    if isinstance(env, str):
        creator = spec_of(env).entry_point
        made = load_env_creator(creator) if isinstance(creator, str) else creator
        return isinstance(made, type) and not issubclass(made, EnvParts)
    if not isinstance(env, gym.Env | gym.vector.VectorEnv):
        return False
    rows = getattr(env.unwrapped, "envs", (env,))
    return not any(isinstance(row.unwrapped, EnvParts) for row in rows)


def check_policy_kwargs(policy_class: type, kwargs: Mapping[str, Any]) -> None:
    """Reject an argument that the policy does not have.

    Raises:
        TypeError: An unknown name in `policy_kwargs`; the nearest known one is named.
    """
    known: set[str] = set()
    for owner in policy_class.__mro__:
        if "__init__" not in vars(owner):
            continue
        parameters = inspect.signature(owner.__init__).parameters.values()  # type: ignore[misc]
        known |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break  # nothing is passed further up
    known -= {"self", "observation_space", "action_space", "lr_schedule"}
    for name in kwargs:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise TypeError(f"unknown entry {name!r} of policy_kwargs; {hint}")


def _policy_kwargs(given: Mapping[str, Any], facts: TaskFacts | None) -> dict[str, Any]:
    kwargs = dict(given)
    if kwargs.get("value") == AUTO_VALUE:
        # An adapter is there to save memory, which a second model would take.
        is_learned = facts is not None and facts.scored_by_model and not kwargs.get("lora")
        kwargs["value"] = "separate" if is_learned else "shared"
        if is_learned:
            kwargs.setdefault("value_init", REWARD_MODEL)
    if kwargs.get("value_init") == REWARD_MODEL:
        # Where the task has no learned reward model, the policy's own weights are the next best.
        kwargs["value_init"] = None if facts is None else facts.reward_model
    return kwargs


def _model_of(policy_kwargs: Mapping[str, Any], facts: TaskFacts | None) -> str:
    reference = None if facts is None else facts.reference_model
    return str(policy_kwargs.get("model") or reference or DEFAULT_SCRATCH)
