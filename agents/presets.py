"""Presets: tables of defaults. docs/algorithms.md gives the reason of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from textgym.agents.learning_rate import LearningRate

FROM_PRESET: Any = "preset"
"""Default of every hyper-parameter: take the preset's value."""
AUTO_VALUE = "auto"
"""A preset's value mode: by what the environment's score comes from."""


@dataclass(frozen=True, kw_only=True)
class SharedPreset:
    """What PPO and A2C have in common; SB3's names where SB3 has one.

    Attributes:
        learning_rate: A rate or schedule; None for the default of the model's kind.
        n_steps: Steps per environment and rollout; None for twice `max_new_tokens`.
        gamma: Discount.
        gae_lambda: See `generalized_advantages`. None for 0.95 with the shared value head and 0.9
            with a separate value model, which is worth trusting over more tokens.
        normalize_advantage: Whether to normalise advantages at all.
        advantage_norm: "batch" (each minibatch) or "rollout" (once).
        ent_coef: Weight of the entropy bonus.
        vf_coef: Weight of the value loss, which is a mean of squares without a factor 1/2.
        max_grad_norm: Gradients are scaled down to this norm.
        kl_coef: KL weight set in the environment; None keeps the environment's.
        kl_target: Target of adaptive control, nats per response; None for a fixed weight.
        kl_horizon: See `AdaptiveKLController`.
        kl_start: KL weight at the beginning, from which it falls in a straight line to `kl_coef`
            during the first 60 % of training; None for no fall.
        temperature: Set in the environment and the policy; None keeps the environment's.
        whiten_rewards: Scale KL-shaped rewards to variance 1, keeping their mean.
        policy_kwargs: Defaults of `TransformerPolicy`'s arguments. The value "auto" is "separate",
            begun as the reward model, where a learned reward model that reads the policy's tokens
            gives the score; else it is "shared".
        env_kwargs: Arguments with which an environment given by id is made.
    """

    learning_rate: Any = None
    n_steps: int | None = None
    gamma: float = 1.0
    gae_lambda: float | None = None
    normalize_advantage: bool = True
    advantage_norm: str = "batch"
    ent_coef: float = 0.0
    vf_coef: float = 0.1
    max_grad_norm: float = 1.0
    kl_coef: float | None = None
    kl_target: float | None = None
    kl_horizon: float = 10_000.0
    kl_start: float | None = None
    temperature: float | None = None
    whiten_rewards: bool = False
    policy_kwargs: Mapping[str, Any] = field(default_factory=lambda: {"value": AUTO_VALUE})
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PPOPreset(SharedPreset):
    """PPO's defaults.

    Attributes:
        batch_size: Transitions aimed at per minibatch; None for the whole rollout in one.
        n_epochs: Passes over a rollout.
        clip_range: Of the ratio.
        clip_range_vf: Of the value around the old value; None for no clipping.
        target_kl: Stops an update whose approximate KL passes 1.5 times this; None for never.
    """

    batch_size: int | None = 6144
    n_epochs: int = 2
    clip_range: Any = 0.2
    clip_range_vf: Any = None
    target_kl: float | None = None


@dataclass(frozen=True, kw_only=True)
class A2CPreset(SharedPreset):
    """A2C's defaults; one update per rollout."""


# A few tokens, no model to begin with: large steps, many epochs, a rate that falls to nearly
# nothing, so that what is found is also settled, and a critic of its own: in a trunk that they
# share, the policy's noise kept the critic of Probe-ValueOnly-v0 from learning.
_PROBE = PPOPreset(
    learning_rate=LearningRate(peak=3e-3, final_fraction=0.02),
    batch_size=256,
    n_epochs=8,
    vf_coef=0.5,
    policy_kwargs={"model": "scratch:layers=1,width=64,heads=2", "value": "separate"},
)
PPO_PRESETS: dict[str, PPOPreset] = {
    "textgym": PPOPreset(),
    "summarize-from-feedback": PPOPreset(
        learning_rate=3e-6,
        batch_size=None,
        n_epochs=4,
        clip_range_vf=0.2,
        gae_lambda=0.95,
        vf_coef=0.05,
        max_grad_norm=1e9,
        advantage_norm="rollout",
        kl_coef=0.05,
        temperature=0.7,
        policy_kwargs={"value": "separate", "value_init": "reward_model"},
        env_kwargs={"missing_eos_score": -1.0},
    ),
    # Answers of a few tokens: rollouts of twice their length hold too little. On RLHF-QA-v0 gold
    # rose from .32 to .47 with them and fell to .36; with these it rose to .50 and stayed there.
    "short-responses": PPOPreset(n_steps=96),
    "probe": _PROBE,
    # No token tells anything by itself: with one layer and no bonus the policy settled on one
    # answer.
    "probe-parity": replace(
        _PROBE,
        ent_coef=0.05,
        n_steps=8,
        policy_kwargs={**_PROBE.policy_kwargs, "model": "scratch:layers=2,width=64,heads=2"},
    ),
    # With rollouts of two steps, 128 ratings, one seed of three did not find every best reply.
    "bandit": replace(_PROBE, n_steps=8),
    # Without these one seed of three settled on steps that are too large.
    "probe-increasing": replace(_PROBE, ent_coef=0.03, gae_lambda=1.0),
    # Trained at the weight of 0.1 from the start, two seeds of three settled on one of several good
    # responses.
    "probe-exact-kl": replace(
        _PROBE,
        learning_rate=LearningRate(peak=2e-3, final_fraction=0.02),
        gae_lambda=1.0,
        kl_start=1.0,
    ),
}
A2C_PRESETS: dict[str, A2CPreset] = {"textgym": A2CPreset()}

PresetType = TypeVar("PresetType", bound=SharedPreset)


def resolved(presets: Mapping[str, PresetType], name: str, given: Mapping[str, Any]) -> PresetType:
    """Take a preset and put what the user gave over it.

    Args:
        presets: Name to preset.
        name: One of them.
        given: Field to value; `FROM_PRESET` leaves the preset's. Dicts are merged, the user's
            entries winning.

    Raises:
        ValueError: An unknown preset, or `env_kwargs` of an environment that is made already.
    """
    if name not in presets:
        raise ValueError(f"preset must be one of {sorted(presets)}, got {name!r}")
    env, env_kwargs = given.get("env"), given.get("env_kwargs")
    if env_kwargs and env is not None and not isinstance(env, str):
        raise ValueError(
            f"env_kwargs={env_kwargs!r} are for an environment given by its id, got one that is "
            "made already: give them to gym.make_vec (or kl_coef and temperature to the algorithm)"
        )
    preset = presets[name]
    changes: dict[str, Any] = {}
    for each in fields(preset):
        value = given.get(each.name, FROM_PRESET)
        if isinstance(value, str) and value == FROM_PRESET:
            continue
        kept = getattr(preset, each.name)
        changes[each.name] = {**kept, **(value or {})} if isinstance(kept, Mapping) else value
    return replace(preset, **changes)
