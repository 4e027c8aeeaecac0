"""Control environments in the loop: stock PPO acts, a small ensemble is the reward.

Shape letters: N rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from textgym.agents.feedback_loop.control_settings import ControlSettings, settings_for
from textgym.agents.feedback_loop.loop import STATE_FOLDER
from textgym.agents.feedback_loop.segment_files import read_segments, write_segments
from textgym.agents.feedback_loop.step_report import StepReport
from textgym.agents.policies.fingerprint import weights_fingerprint
from textgym.agents.reward_learning.labels import labels_from_records
from textgym.agents.reward_learning.vector_ensemble import VectorRewardEnsemble
from textgym.agents.reward_learning.vector_network import StepShape
from textgym.agents.reward_learning.vector_training import VectorRewardConfig, fit_vector_reward
from textgym.agents.storage.checkpoint import (
    load_json,
    load_tensors,
    open_folder,
    save_json,
    save_tensors,
)
from textgym.agents.storage.optimizer_files import read_optimizer, write_optimizer
from textgym.feedback.broker import FeedbackBroker
from textgym.feedback.records import Skipped
from textgym.feedback.responses import Segment
from textgym.feedback.segment_feedback import SegmentFeedback, SegmentFeedbackConfig
from textgym.intervals import Estimate, mean_interval
from textgym.wrappers.feedback_env import FeedbackEnv
from textgym.wrappers.human_feedback import HumanFeedback, TrueReward

MakeBroker = Callable[[np.ndarray], FeedbackBroker]
"""From the true returns of the first segments, (S,), by which a teacher is calibrated."""

_REFERENCE_SEGMENTS = 256
_STATE, _POLICY = "learner.json", "policy.safetensors"


class ControlLearner:
    """See `loop.LoopLearner`.

    Attributes:
        feedback: What the rows share.
        agent: Stock PPO.
        total_steps: Steps of a run.
    """

    def __init__(
        self,
        env_id: str,
        settings: ControlSettings,
        *,
        feedback: SegmentFeedbackConfig,
        reward: VectorRewardConfig,
        make_broker: MakeBroker,
        seed: int = 0,
    ) -> None:
        """Make the rows and an untrained policy.

        Args:
            env_id: A "RLHF-…" control environment, or any other without text.
            settings: PPO's, and how long it is trained.
            feedback: Which feedback is asked for.
            reward: How the reward is learned.
            make_broker: Called once, after the first steps.
            seed: Of everything.
        """
        self.env_id, self.settings, self.seed = env_id, settings, seed
        self.feedback = SegmentFeedback(replace(feedback, feedback_seed=seed))
        self.total_steps = settings.total_steps
        self._reward_config = replace(reward, seed=seed)
        self._make_broker = make_broker
        self._broker: FeedbackBroker | None = None
        self._reference: list[Segment] = []
        self._gold: list[float] = []
        self._env = rows_of(env_id, settings.num_envs, self.feedback)
        self.agent = new_agent(self._env, settings, seed)
        self._shape = StepShape.of_spaces(self._env.observation_space, self._env.action_space)

    def act(self, round_index: int, steps: int, report: Callable[[int], None]) -> int:
        """Record about `steps` steps; from the first learned reward on PPO learns from them."""
        # All that is drawn in a round follows from the seed and the round, so that a run that is
        # resumed between rounds goes on as it would have.
        self.agent.set_random_seed(self.seed * 1009 + round_index)
        self.agent._last_obs = None
        self.feedback.policy_fingerprint = weights_fingerprint(self.agent.policy)
        if self.feedback.is_ready:
            before, rollout = self.agent.num_timesteps, self.agent.n_steps * self.agent.n_envs
            whole = max(1, steps // rollout) * rollout
            self.agent.learn(whole, callback=StepReport(report), reset_num_timesteps=False)
            done = self.agent.num_timesteps - before
        else:
            done = self._only_record(steps, report)
        if not self._reference:
            self._take_reference()
        return done

    def ask(self, allowed_in_all: float) -> int:
        """Ask as many questions as `allowed_in_all` still pays for."""
        broker = self._known_broker()
        self.feedback.poll()  # money of questions that nobody answers any more is free again
        price = self._price(broker)
        allowed = allowed_in_all - broker.budget.spent - broker.budget.reserved
        count = int(allowed / price + 1e-9) if price > 0 else len(self.feedback.pool) // 2
        return self.feedback.ask(count) if count > 0 else 0

    def receive(self) -> int:
        """Take in the answers that have come, and begin the next round."""
        self.feedback.poll()
        self._known_broker().next_round()
        return len(self.feedback.records)

    def fit(self) -> dict[str, Any]:
        """Learn the reward anew from all answers, once they tell better from worse."""
        labels = labels_from_records(self.feedback.records)
        if not labels.has_contrast:
            return {}
        fit = fit_vector_reward(
            labels,
            self._shape,
            self._reward_config,
            reference=self._reference,
            version=self.feedback.version + 1,
        )
        self.feedback.predictor = fit.ensemble
        return {kind: report.as_dict() for kind, report in fit.held_out.items()}

    def evaluate(self, episodes: int) -> Estimate:
        """Play without exploring and return the true return."""
        return true_return(self.agent, self.env_id, self.settings.num_envs, episodes, self.seed)

    @property
    def spent(self) -> float:
        """What the labels have cost."""
        return self._known_broker().budget.spent

    def write_state(self, folder: Path) -> None:
        """Write policy, optimiser, reward, broker and teacher; the answers are in the store."""
        broker = self._known_broker()
        save_tensors(folder / _POLICY, self.agent.policy.state_dict())
        write_optimizer(folder, self.agent.policy.optimizer)
        write_segments(folder, self._reference)
        if isinstance(self.feedback.predictor, VectorRewardEnsemble):
            self.feedback.predictor.save(folder)
        numbers = {
            "steps": self.agent.num_timesteps,
            "updates": self.agent._n_updates,
            "gold": self._gold,
            "feedback": self.feedback.state_dict(),
            "broker": broker.state_dict(),
            "cursor": self._cursor(broker),
            "is_ready": self.feedback.is_ready,
        }
        save_json(folder / _STATE, numbers)

    def read_state(self, folder: Path) -> None:
        """Take back what `write_state` wrote."""
        numbers = load_json(folder / _STATE)
        self.agent.policy.load_state_dict(load_tensors(folder / _POLICY))
        read_optimizer(folder, self.agent.policy.optimizer)
        self.agent.num_timesteps = int(numbers["steps"])
        self.agent._n_updates = int(numbers["updates"])
        self._reference, self._gold = read_segments(folder), list(numbers["gold"])
        self._broker = self.feedback.broker = self._make_broker(np.array(self._gold))
        self._broker.load_state_dict(numbers["broker"])
        self.feedback.load_state_dict(numbers["feedback"])
        own = f"{numbers['feedback']['run_id']}-"  # not of a life that ended before its first save
        self.feedback.records = [
            stored.record
            for stored in self._broker.store.iterate()
            if stored.position <= numbers["cursor"]
            and not isinstance(stored.record, Skipped)
            and str(stored.record.query_id).startswith(own)
        ]
        if numbers["is_ready"]:
            self.feedback.predictor = VectorRewardEnsemble.load(folder)

    def close(self) -> None:
        """Close the rows."""
        self._env.close()

    def _only_record(self, steps: int, report: Callable[[int], None]) -> int:
        """Act without learning: there is no reward yet."""
        observations = self._env.reset()
        rows = self._env.num_envs
        times = -(-steps // rows)
        for _ in range(times):
            actions, _ = self.agent.predict(observations)  # type: ignore[arg-type]
            observations = self._env.step(actions)[0]
            report(rows)
        return times * rows

    def _take_reference(self) -> None:
        recorded = self.feedback.pool.all()
        if len(recorded) < 2:
            raise ValueError(
                f"expected at least 2 segments in the first steps, got {len(recorded)}: give more "
                "steps or shorter segments"
            )
        self._gold = [float(segment.true_rewards.sum()) for segment in recorded]
        self._reference = [segment.as_segment() for segment in recorded[:_REFERENCE_SEGMENTS]]
        self._broker = self.feedback.broker = self._make_broker(np.array(self._gold))

    def _known_broker(self) -> FeedbackBroker:
        if self._broker is None:
            raise ValueError("expected a round of recording before the first question, got none")
        return self._broker

    def _price(self, broker: FeedbackBroker) -> float:
        """What the dearest question of the kind costs."""
        config, prices = self.feedback.config, broker.prices
        if config.feedback_kind == "score":
            return prices.score + prices.action * config.segment_length
        return prices.comparison + prices.action * 2 * config.segment_length

    def _cursor(self, broker: FeedbackBroker) -> int:
        return max((stored.position for stored in broker.store.iterate()), default=0)


def train_on_true_reward(
    env_id: str, settings: ControlSettings, seed: int, report: Callable[[int], None]
) -> PPO:
    """Train the same PPO for the same steps on the environment's own reward."""
    env = rows_of(env_id, settings.num_envs, SegmentFeedback(), is_true=True)
    agent = new_agent(env, settings, seed)
    agent.learn(settings.total_steps, callback=StepReport(report))
    return agent


def true_return(agent: PPO, env_id: str, num_envs: int, episodes: int, seed: int) -> Estimate:
    """Mean true return of episodes played without exploring, from fresh rows."""
    env = rows_of(env_id, num_envs, SegmentFeedback(), is_true=True)
    env.seed(seed + 10_000)
    returns, _ = evaluate_policy(
        agent, env, episodes, deterministic=True, return_episode_rewards=True
    )
    env.close()
    return mean_interval(np.array(returns))


def rows_of(
    env_id: str, num_envs: int, feedback: SegmentFeedback, *, is_true: bool = False
) -> VecEnv:
    """Return N rows, paid by the learned reward or, with `is_true`, by their own."""

    def make() -> gym.Env:
        env = wrapped(env_id, feedback)
        return Monitor(TrueReward(env) if is_true else env)

    return DummyVecEnv([make] * num_envs)


def wrapped(env_id: str, feedback: SegmentFeedback) -> gym.Env:
    """Make an environment that is paid by feedback: one registered as such, or any other."""
    env = gym.make(env_id, disable_env_checker=True)
    if isinstance(env.unwrapped, FeedbackEnv):
        env.close()
        return gym.make(env_id, disable_env_checker=True, feedback=feedback)
    return HumanFeedback(env, feedback)


def saved_agent(env_id: str, folder: Path) -> PPO:
    """Load the policy that a seed of a run has come to, without rows to learn on.

    Args:
        env_id: The run's environment.
        folder: The seed's, `seed-N`.

    Raises:
        FileNotFoundError: No round is done there.
        CheckpointError: What was saved there is damaged.
    """
    env = rows_of(env_id, 1, SegmentFeedback())
    agent = new_agent(env, settings_for(env_id), seed=None)
    env.close()
    agent.policy.load_state_dict(load_tensors(open_folder(folder / STATE_FOLDER) / _POLICY))
    return agent


def new_agent(env: VecEnv, settings: ControlSettings, seed: int | None) -> PPO:
    """Return an untrained PPO; without a seed no global generator is seeded."""
    return PPO("MlpPolicy", env, seed=seed, device="cpu", verbose=0, **settings.ppo)
