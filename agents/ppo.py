"""PPO on token-level MDPs: Stable-Baselines3's, with rollouts and a buffer for sequences."""

from __future__ import annotations

from typing import Any

import stable_baselines3
import torch as th
from stable_baselines3.common.type_aliases import Schedule

from textgym.agents.presets import FROM_PRESET, PPO_PRESETS, resolved
from textgym.agents.rollouts.preparation import prepare
from textgym.agents.rollouts.sequence_rollouts import SequenceRollouts
from textgym.agents.rollouts.vec_env_adapter import DEFAULT_NUM_ENVS
from textgym.agents.storage.saving import SavedAsFolder


class PPO(SavedAsFolder, SequenceRollouts, stable_baselines3.PPO):
    """Proximal policy optimisation; parameter names, callbacks, logger and `learn` are SB3's.

    `FROM_PRESET` as a default means: the value of the preset, see `PPOPreset` for each.

    Args:
        policy: "TransformerPolicy" or a subclass of it.
        env: A registered id, an `Env`, a `VectorEnv`, a `VecEnv`, or None to load into.
        learning_rate: A rate, or a function of the progress remaining (1 to 0); None: by kind of
            model.
        n_steps: Steps per environment and rollout; None: twice the longest response.
        batch_size: Transitions aimed at per minibatch; None: the whole rollout.
        n_epochs: Passes over each rollout.
        gamma: Discount.
        gae_lambda: GAE's lambda.
        clip_range: Of the ratio.
        clip_range_vf: Of the value, None for no clipping.
        normalize_advantage: Whether to normalise advantages.
        ent_coef: Weight of the entropy bonus.
        vf_coef: Weight of the value loss.
        max_grad_norm: Gradient clipping.
        target_kl: Early stop of an update, None for none.
        kl_coef: Sets the environment's KL weight; None keeps it.
        kl_target: KL aimed at by adaptive control, nats per response; None: fixed weight.
        kl_horizon: Episodes of adaptive control.
        kl_start: KL weight at the beginning, which then falls to `kl_coef` during 60 % of training.
        temperature: Sets the environment's and the policy's; None keeps the environment's.
        whiten_rewards: Scale shaped rewards to variance 1.
        advantage_norm: "batch" or "rollout".
        preset: A name of `PPO_PRESETS`.
        n_envs: Rows made for an id.
        env_kwargs: Arguments with which an id is made.
        stats_window_size: As in SB3.
        tensorboard_log: As in SB3.
        policy_kwargs: Arguments of `TransformerPolicy`.
        verbose: As in SB3.
        seed: Seeds the environment's resets, sampling, fresh weights and the dealing of
            minibatches; global generators are left alone.
        device: "auto", "cpu", "cuda", "mps".
        _init_setup_model: As in SB3.

    Raises:
        ValueError: An unknown preset, an environment or policy that does not fit, or a number out
            of range.
    """

    def __init__(
        self,
        policy: str | type[Any] = "TransformerPolicy",
        env: Any = None,
        learning_rate: float | Schedule | None = FROM_PRESET,
        n_steps: int | None = FROM_PRESET,
        batch_size: int | None = FROM_PRESET,
        n_epochs: int = FROM_PRESET,
        gamma: float = FROM_PRESET,
        gae_lambda: float = FROM_PRESET,
        clip_range: float | Schedule = FROM_PRESET,
        clip_range_vf: float | Schedule | None = FROM_PRESET,
        normalize_advantage: bool = FROM_PRESET,
        ent_coef: float = FROM_PRESET,
        vf_coef: float = FROM_PRESET,
        max_grad_norm: float = FROM_PRESET,
        target_kl: float | None = FROM_PRESET,
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
        settings = resolved(PPO_PRESETS, preset, locals())
        prepared = prepare(settings, env, n_envs)
        super().__init__(
            policy,
            prepared.env,  # type: ignore[arg-type]
            batch_size=prepared.n_steps * prepared.n_envs,
            n_epochs=settings.n_epochs,
            clip_range=settings.clip_range,
            clip_range_vf=settings.clip_range_vf,
            target_kl=settings.target_kl,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            seed=seed,
            _init_setup_model=False,
            **prepared.algorithm_arguments(settings, device),
        )
        # SB3's constructor warns of sizes that do not divide its dense buffer; ours deals evenly.
        self.batch_size = settings.batch_size  # type: ignore[assignment]
        self._configure(settings, prepared)
        if _init_setup_model:
            self._setup_model()
