"""A2C on token-level MDPs: Stable-Baselines3's, with rollouts and a buffer for sequences."""

from __future__ import annotations

from typing import Any

import stable_baselines3
import torch as th
from stable_baselines3.common.type_aliases import Schedule

from textgym.agents.presets import A2C_PRESETS, FROM_PRESET, resolved
from textgym.agents.rollouts.preparation import prepare
from textgym.agents.rollouts.sequence_rollouts import SequenceRollouts
from textgym.agents.rollouts.vec_env_adapter import DEFAULT_NUM_ENVS
from textgym.agents.storage.saving import SavedAsFolder


class A2C(SavedAsFolder, SequenceRollouts, stable_baselines3.A2C):
    """Advantage actor-critic: one update per rollout. Arguments as in `textgym.agents.PPO`.

    `use_rms_prop` and `rms_prop_eps` are SB3's; by default A2C uses Adam like PPO.

    Raises:
        ValueError: As for PPO.
    """

    def __init__(
        self,
        policy: str | type[Any] = "TransformerPolicy",
        env: Any = None,
        learning_rate: float | Schedule | None = FROM_PRESET,
        n_steps: int | None = FROM_PRESET,
        gamma: float = FROM_PRESET,
        gae_lambda: float = FROM_PRESET,
        ent_coef: float = FROM_PRESET,
        vf_coef: float = FROM_PRESET,
        max_grad_norm: float = FROM_PRESET,
        rms_prop_eps: float = 1e-5,
        use_rms_prop: bool = False,
        normalize_advantage: bool = FROM_PRESET,
        *,
        kl_coef: float | None = FROM_PRESET,
        kl_target: float | None = FROM_PRESET,
        kl_horizon: float = FROM_PRESET,
        kl_start: float | None = FROM_PRESET,
        temperature: float | None = FROM_PRESET,
        whiten_rewards: bool = FROM_PRESET,
        advantage_norm: str = FROM_PRESET,
        preset: str = "textgym",
        n_envs: int = DEFAULT_NUM_ENVS,
        env_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        """Make the environment and the networks; see the class."""
        settings = resolved(A2C_PRESETS, preset, locals())
        prepared = prepare(settings, env, n_envs)
        super().__init__(
            policy,
            prepared.env,  # type: ignore[arg-type]
            rms_prop_eps=rms_prop_eps,
            use_rms_prop=use_rms_prop,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            seed=seed,
            _init_setup_model=False,
            **prepared.algorithm_arguments(settings, device),
        )
        self._configure(settings, prepared)
        if _init_setup_model:
            self._setup_model()
