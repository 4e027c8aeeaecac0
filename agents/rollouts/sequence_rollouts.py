"""`SequenceRollouts`: what makes an SB3 on-policy algorithm one for token-level MDPs.

Shape letters: T steps of a rollout, N environments, L observation width.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from textgym.agents.kl_control import FixedKLController
from textgym.agents.kl_shaping import kl_shaped
from textgym.agents.rollouts.asked_rewards import tell_policy
from textgym.agents.rollouts.device_memory import out_of_memory_named, require_memory
from textgym.agents.rollouts.memory_estimate import estimate_memory
from textgym.agents.rollouts.rollout_buffer import SequenceRolloutBuffer
from textgym.agents.rollouts.rollout_record import RolloutRecord, deferred_rewards
from textgym.agents.rollouts.sequence_parts import SequenceParts
from textgym.agents.rollouts.statistics import (
    EpisodeTally,
    FinishedEpisode,
    mean_kl,
    rollout_metrics,
)
from textgym.agents.rollouts.task_facts import (
    known_prompt_lengths,
    unwrapped_value,
    waiting_rows,
)


class SequenceRollouts(SequenceParts):
    """A mixin over SB3's on-policy algorithms; `train()` stays theirs. See `SequenceParts`."""

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        """Reset what belongs to open episodes whenever SB3 resets the environment.

        Raises:
            ValueError: An iteration does not fit into memory; see `require_memory`.
        """
        if not self._fits:
            require_memory(estimate_memory(self), self.device)
            self._fits = True
        before = self._last_obs
        result = super()._setup_learn(*args, **kwargs)
        if self._last_obs is not before:
            self._tally = EpisodeTally(self.n_envs)
            self._prompt_lengths = np.zeros(self.n_envs, np.int64)
            self._state = None
        return result

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play `n_rollout_steps` steps and fill the buffer; see SB3.

        Rewards are deferred while playing where the environment can, and settled once.

        Returns:
            False if a callback stopped the rollout.
        """
        buffer = rollout_buffer
        assert isinstance(buffer, SequenceRolloutBuffer)
        self._take_settings(env)
        buffer.reset()
        callback.on_rollout_start()
        record = RolloutRecord(env=env, gamma=self.gamma)
        started = time.perf_counter()
        with deferred_rewards(env) as settling:
            is_complete = self._play(env, callback, buffer, n_rollout_steps, record)
            last_values = self._evaluate(buffer) if is_complete else None
            played = time.perf_counter()
            if settling is not None and buffer.pos:
                with out_of_memory_named("settle", f"{buffer.pos} steps of {env.num_envs} rows"):
                    record.settle(settling, buffer)
        settled = time.perf_counter()
        episodes = self._count(buffer, record)
        if last_values is None:
            return False
        self._finish(buffer, record, episodes, last_values)
        self._record_speed("rollout", buffer.n_transitions, played - started)
        if settling is not None:
            self._record_speed("settle", buffer.n_transitions, settled - played)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _take_settings(self, env: VecEnv) -> None:
        """Read the environment's settings back, so that the halves of the KL term agree."""
        self.policy.set_training_mode(False)
        self.policy.temperature = float(unwrapped_value(env, "temperature"))
        self._kl_coef = float(unwrapped_value(env, "kl_coef"))
        tell_policy(env, self.policy)
        if self._state is None or self._state.num_rows != env.num_envs:
            # Whole sequences give a separate value model's values for less than steps do.
            self._state = self.policy.new_state(env.num_envs, with_values=False)

    def _play(
        self,
        env: VecEnv,
        callback: BaseCallback,
        buffer: SequenceRolloutBuffer,
        n_rollout_steps: int,
        record: RolloutRecord,
    ) -> bool:
        assert self._state is not None
        estimates: list[th.Tensor] = []
        later = np.zeros(env.num_envs, np.float32)
        sizes = f"{env.num_envs} rows of at most {buffer.width} tokens"
        is_complete = True
        while is_complete and len(estimates) < n_rollout_steps:
            obs, starts = self._last_obs, self._last_episode_starts
            assert isinstance(obs, np.ndarray) and starts is not None
            self._note_prompt_lengths(env, obs, starts)
            waiting = waiting_rows(env)
            # After an update every slot is filled anew.
            phase = "prefill" if starts.any() or not estimates else "decode"
            with out_of_memory_named(phase, sizes):
                action_tensor, values, log_probs = self.policy(
                    obs, self._state, starts, prompt_lengths=self._prompt_lengths
                )
                estimates.append(th.stack([values.flatten(), log_probs]))
                actions = self.policy.fetch_actions(action_tensor, self._state)
            with out_of_memory_named("environment", sizes):
                new_obs, rewards, dones, infos = env.step(actions)
            self.num_timesteps += env.num_envs
            buffer.add(
                obs,
                actions,
                rewards,
                starts,
                later,
                later,
                dones=dones,
                prompt_lengths=self._prompt_lengths,
                is_valid=None if waiting is None else ~waiting,
            )
            record.note(infos, dones, obs, actions, self._prompt_lengths, self.policy)
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
            callback.update_locals(locals())
            is_complete = callback.on_step()
        # Values and log-probs leave the device once a rollout: waiting for actions is enough.
        fetched = th.stack(estimates).cpu().numpy()
        if self._state.has_values:
            buffer.step_values[:, : len(fetched)] = fetched[:, 0].T
        buffer.log_probs[:, : len(fetched)] = fetched[:, 1].T
        return is_complete

    def _note_prompt_lengths(self, env: VecEnv, obs: np.ndarray, starts: np.ndarray) -> None:
        known = known_prompt_lengths(env)
        if known is None:
            lengths = (obs != self.policy.vocab_size).sum(axis=1)
            known = np.where(starts, lengths, self._prompt_lengths)
        self._prompt_lengths = known

    def _evaluate(self, buffer: SequenceRolloutBuffer) -> np.ndarray:
        """Complete the buffer by what steps did not give; give (N,) values of what follows it.

        In bfloat16 cached and full forwards differ by per cents, which would move first ratios:
        log-probabilities and values then come from the update's own forward.
        """
        assert self._state is not None
        with out_of_memory_named("update", self._update_sizes()):
            if self.policy.precision != "float32":
                self._recompute_old(buffer)
            elif not self._state.has_values:
                everything = np.arange(len(buffer.segments))
                values = self.policy.evaluate_values(buffer.pack(everything).observations)
                buffer.overwrite(everything, values=values.cpu().numpy())
            return self._last_values(buffer)

    def _last_values(self, buffer: SequenceRolloutBuffer) -> np.ndarray:
        is_open = ~buffer.is_end[:, -1]
        values = np.zeros(buffer.n_envs, np.float32)
        if not is_open.any():
            return values
        assert isinstance(self._last_obs, np.ndarray) and self._state is not None
        if self._state.has_values:
            return self.policy.predict_values(self._last_obs, self._state).flatten().cpu().numpy()
        rows = th.as_tensor(self._last_obs[is_open], device=self.device)
        values[is_open] = self.policy.evaluate_values(rows).cpu().numpy()
        return values

    def _count(self, buffer: SequenceRolloutBuffer, record: RolloutRecord) -> list[FinishedEpisode]:
        """Add what was played to the tally, also of a rollout that a callback stopped."""
        played = slice(buffer.pos)
        is_valid = buffer.is_valid.T[played]
        return self._tally.count(
            rewards=buffer.rewards.T[played],
            log_probs=buffer.log_probs.T[played],
            ref_log_probs=record.ref_log_probs(),
            is_valid=is_valid,
            is_done=buffer.is_end.T[played] & is_valid,
            ends=record.ends,
        )

    def _finish(
        self,
        buffer: SequenceRolloutBuffer,
        record: RolloutRecord,
        episodes: list[FinishedEpisode],
        last_values: np.ndarray,
    ) -> None:
        """Shape the rewards, compute advantages, record, and move the KL weight."""
        buffer.rewards = kl_shaped(buffer.rewards, buffer.log_probs, self._kl_coef)
        for row, step, value in record.bootstraps:
            buffer.rewards[row, step] += value
        self._record_rollout(buffer, record, episodes)
        buffer.compute_returns_and_advantage(last_values, self._last_episode_starts)  # type: ignore[arg-type]
        if self.policy.has_fresh_shared_head:
            # Else the loss would pull the whole trunk towards the mean before anything else.
            cuts = [(row, step) for row, step, _ in record.bootstraps]
            self.policy.begin_values_at(buffer.begin_values_at_mean(last_values, cuts))
        self._move_kl_coef(episodes)

    def _recompute_old(self, buffer: SequenceRolloutBuffer) -> None:
        """Take old log-probs and values from the update's own forward."""
        everything = np.arange(len(buffer.segments))
        batch = buffer.pack(everything)
        with th.no_grad():
            values, log_probs, _ = self.policy.evaluate_actions(batch.observations, batch.actions)
        buffer.overwrite(everything, log_probs=log_probs.cpu().numpy(), values=values.cpu().numpy())

    def _record_rollout(
        self, buffer: SequenceRolloutBuffer, record: RolloutRecord, episodes: list[FinishedEpisode]
    ) -> None:
        log_probs = buffer.log_probs[buffer.is_valid]
        metrics = rollout_metrics(episodes, kl_coef=self._kl_coef, log_probs=log_probs)
        for name, value in metrics.items():
            self.logger.record(name, value)
        assert self.ep_info_buffer is not None
        answered = [e for e in episodes if e.end.is_answered]
        self.ep_info_buffer.extend({"r": e.env_return, "l": e.n_tokens} for e in answered)
        if self.facts is not None:
            self.samples = record.samples(self.facts, self.num_timesteps)

    def _move_kl_coef(self, episodes: list[FinishedEpisode]) -> None:
        if isinstance(self.kl_controller, FixedKLController):
            return
        assert self.env is not None and self.kl_controller is not None
        done = min(self.num_timesteps / max(self._total_timesteps, 1), 1.0)
        kl_coef = self.kl_controller.update(mean_kl(episodes), len(episodes), done)
        self.env.env_method("set_kl_coef", kl_coef)

    def _record_speed(self, phase: str, n_tokens: int, seconds: float) -> None:
        self.logger.record(f"time/{phase}_tokens_per_second", n_tokens / max(seconds, 1e-9))

    def _update_sizes(self) -> str:
        buffer = self.rollout_buffer
        batch_size = vars(self).get("batch_size") or buffer.n_transitions
        return (
            f"{buffer.n_transitions} transitions in {len(buffer.segments)} segments of "
            f"{len(buffer.ids)} tokens, minibatches of {batch_size}, micro-batches of "
            f"{self.policy.micro_batch_budget} tokens"
        )

    def train(self) -> None:
        """Run SB3's update, timed, and record the gradient norm."""
        if not len(self.rollout_buffer.segments):
            warnings.warn(
                "no episode of this rollout was scored by its teacher: the policy stays as it is",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        started = time.perf_counter()
        with out_of_memory_named("update", self._update_sizes()):
            super().train()
        self._record_speed(
            "update", self.rollout_buffer.n_transitions, time.perf_counter() - started
        )
        if (norm := self.gradient_norms.take_mean()) is not None:
            self.logger.record("train/grad_norm", norm)
