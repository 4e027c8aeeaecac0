"""What an SB3 on-policy algorithm for token-level MDPs is made of: policy, buffer, KL weight."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from textgym.agents.kl_control import (
    AdaptiveKLController,
    FallingKLController,
    FixedKLController,
    KLController,
)
from textgym.agents.policies.slot_state import SlotState
from textgym.agents.policies.transformer_policy import TransformerPolicy
from textgym.agents.presets import SharedPreset
from textgym.agents.rollouts.gradient_norms import GradientNorms
from textgym.agents.rollouts.preparation import Prepared, check_policy_kwargs
from textgym.agents.rollouts.rollout_buffer import SequenceRolloutBuffer
from textgym.agents.rollouts.statistics import EpisodeTally, Sample
from textgym.agents.rollouts.task_facts import (
    TaskFacts,
    group_size,
    require_honest_rewards,
    unwrapped_value,
)
from textgym.agents.rollouts.vec_env_adapter import as_vec_env


class SequenceParts(OnPolicyAlgorithm):
    """Builds the parts; `SequenceRollouts` plays with them.

    Subclasses call `_configure` before SB3's constructor returns and then `_setup_model`.

    Attributes:
        facts: What the environment is made of; None without an environment.
        kl_controller: Sets the environment's `kl_coef` between rollouts; None without one.
        samples: The last rollout's last responses, for people to read.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"TransformerPolicy": TransformerPolicy}

    policy: TransformerPolicy  # type: ignore[assignment]
    rollout_buffer: SequenceRolloutBuffer  # type: ignore[assignment]

    def _configure(self, settings: SharedPreset, prepared: Prepared) -> None:
        """Keep what SB3's constructor does not know and set the environment accordingly."""
        self.settings = replace(
            settings, n_steps=prepared.n_steps, learning_rate=prepared.learning_rate
        )
        self.facts = prepared.facts
        self.samples: list[Sample] = []
        self.kl_controller: KLController | None = None
        self._state: SlotState | None = None
        self._fits = False
        self._prompt_lengths = np.zeros(0, np.int64)
        self._tally = EpisodeTally(0)
        if self.env is not None:
            if settings.kl_coef is not None:
                self.env.env_method("set_kl_coef", settings.kl_coef)
            if settings.temperature is not None:
                self.env.env_method("set_temperature", settings.temperature)
            self._take_kl_controller(self.env)

    def _take_kl_controller(self, env: VecEnv) -> None:
        """Make what holds the KL weight; the environment gets the weight that it begins with."""
        self.kl_controller = self._new_kl_controller(env)
        if not isinstance(self.kl_controller, FixedKLController):
            env.env_method("set_kl_coef", self.kl_controller.kl_coef)

    def _new_kl_controller(self, env: VecEnv) -> KLController:
        kl_coef = float(unwrapped_value(env, "kl_coef"))
        start, target = self.settings.kl_start, self.settings.kl_target
        if start is not None and target is not None:
            raise ValueError(f"expected kl_start or kl_target, got both: {start!r} and {target!r}")
        if start is not None:
            return FallingKLController(start=start, final=kl_coef)
        if target is None:
            return FixedKLController(kl_coef=kl_coef)
        return AdaptiveKLController(
            kl_coef=kl_coef, target=target, horizon=self.settings.kl_horizon
        )

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        """Make a `VecEnv` of whatever the user has; SB3's hook."""
        del verbose, monitor_wrapper
        vec_env = as_vec_env(env, settles=True)
        require_honest_rewards(vec_env)
        return vec_env

    def _setup_model(self) -> None:
        """Build the buffer and the policy; SB3's hook."""
        if not issubclass(self.policy_class, TransformerPolicy):
            raise ValueError(
                f"expected 'TransformerPolicy' or a subclass, got {self.policy_class!r}; other "
                "policies need no SequenceRollouts: use stable_baselines3 itself"
            )
        check_policy_kwargs(self.policy_class, self.policy_kwargs)
        self.policy_kwargs = self._full_policy_kwargs()
        self.rollout_buffer_class = SequenceRolloutBuffer
        self.rollout_buffer_kwargs = {
            "action_tokens": self.policy_kwargs.get("action_tokens"),
            "whiten_rewards": self.settings.whiten_rewards,
            "advantage_norm": self.settings.advantage_norm if self._normalizes else "batch",
            "group_size": 1 if self.env is None else group_size(self.env),
            "seed": self.seed,
        }
        super()._setup_model()
        if self.facts is not None:
            self.policy.mask_fn = self.facts.mask_fn
        self.gradient_norms = GradientNorms(self.policy.parameters(), self.policy.optimizer)

    def _full_policy_kwargs(self) -> dict[str, Any]:
        """Fill in what the environment knows; what the user said wins."""
        kwargs = dict(self.policy_kwargs)
        kwargs.setdefault("entropy", "gradient" if self.ent_coef > 0 else "report")
        kwargs.setdefault("seed", self.seed)
        if self.facts is not None and self.env is not None:
            kwargs.setdefault("model", self.facts.reference_model)
            kwargs.setdefault("action_tokens", tuple(int(i) for i in self.facts.action_tokens))
            kwargs.setdefault("eos_ids", self.facts.eos_ids)
            kwargs.setdefault("temperature", float(unwrapped_value(self.env, "temperature")))
        return kwargs

    @property
    def _normalizes(self) -> bool:
        return self.settings.normalize_advantage

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed the environment's next reset and action space; no global generator is touched.

        The policy and the buffer have generators of their own, seeded when they are built.
        """
        if seed is None:
            return
        self.action_space.seed(seed)
        if self.env is not None:
            self.env.seed(seed)

    def set_env(self, env: Any, force_reset: bool = True) -> None:
        """Take another environment of the same spaces and number of rows; see SB3."""
        super().set_env(env, force_reset=force_reset)
        assert self.env is not None
        self.facts = TaskFacts.of(self.env)
        self.policy.mask_fn = self.facts.mask_fn
        self.rollout_buffer.group_size = group_size(self.env)
        self._fits = False
        if self.kl_controller is None:
            self._take_kl_controller(self.env)
