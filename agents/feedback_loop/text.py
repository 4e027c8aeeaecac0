"""Text environments in the loop: our PPO writes, a transformer is the reward.

A step is a token that PPO trains on. Shape letters: P prompts, k responses of a question.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from textgym.agents.evaluation.sampled_feedback import judge_of
from textgym.agents.feedback_loop.step_report import StepReport
from textgym.agents.feedback_loop.text_questions import Group, chosen_groups, question
from textgym.agents.feedback_loop.text_sampling import TextSampler
from textgym.agents.feedback_loop.text_settings import RESPONSES, TextLoopSettings
from textgym.agents.learning_rate import LearningRate, default_learning_rate
from textgym.agents.policies import TransformerPolicy
from textgym.agents.policies.fingerprint import weights_fingerprint
from textgym.agents.policies.model_building import model_kind
from textgym.agents.ppo import PPO
from textgym.agents.reward_learning.labels import labels_from_records
from textgym.agents.reward_learning.text_training import TextRewardConfig, fit_text_reward
from textgym.agents.storage.checkpoint import load_json, save_json
from textgym.feedback.broker import FeedbackBroker
from textgym.feedback.episode_judge import EpisodeJudge
from textgym.feedback.prices import Prices
from textgym.feedback.queries import Query
from textgym.feedback.records import FeedbackRecord, LanguageFeedback, Skipped
from textgym.feedback.teachers.critic import rubric_critic
from textgym.intervals import Estimate
from textgym.rewards.base import RewardFn
from textgym.rewards.learned_ensemble import learned_reward
from textgym.task import TextTask
from textgym.types import Episode

MakeBroker = Callable[[np.ndarray, EpisodeJudge], FeedbackBroker]
"""From the gold of the reference's responses, (R,), which gives a teacher its units, and what
knows the gold of an episode."""

_STATE, _AGENT = "learner.json", "agent"
_ACT, _ASK, _CHOOSE, _MEASURE, _REFERENCE = range(5)


class TextLearner:
    """See `loop.LoopLearner`.

    Attributes:
        agent: Our PPO; None before the first reward: the policy is the reference model then.
        records: All answers so far, in the order in which they came.
        total_steps: Tokens of a run.
    """

    def __init__(
        self,
        env_id: str,
        settings: TextLoopSettings,
        *,
        total_steps: int,
        reward: TextRewardConfig,
        prices: Prices,
        make_broker: MakeBroker,
        folder: Path,
        env_kwargs: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        """Look at the environment; nothing is sampled yet.

        Args:
            env_id: A text environment with a gold utility and a reference model.
            settings: The questions, and PPO's.
            total_steps: Tokens that PPO trains on in all.
            reward: How the reward is learned; its models, lengths and seed are the environment's
                and the run's.
            prices: What answers cost.
            make_broker: Called once, before the first question.
            folder: Gets a folder for each reward that was learned.
            env_kwargs: Arguments of the environment.
            seed: Of everything.

        Raises:
            ValueError: No gold utility, or no language model as reference.
        """
        self.env_id, self.settings, self.total_steps = env_id, settings, total_steps
        self.agent: PPO | None = None
        self.records: list[FeedbackRecord] = []
        self._reward_config, self._prices, self._seed = reward, prices, seed
        self._make_broker, self._folder = make_broker, Path(folder)
        self._env_kwargs = dict(env_kwargs or {})
        self._broker: FeedbackBroker | None = None
        self._round = self._version = self._num_asked = 0
        self._sampler = TextSampler(env_id, self._env_kwargs)
        self._task = self._sampler.task
        self._run_id = f"text-{seed}"

    def act(self, round_index: int, steps: int, report: Callable[[int], None]) -> int:
        """Train on about `steps` tokens once there is a reward; before, nothing is done."""
        self._round = round_index
        if not self._version:
            return 0
        agent = self._seated()
        before, size = agent.num_timesteps, agent.n_steps * agent.n_envs
        whole = max(1, steps // size) * size
        agent.learn(whole, callback=StepReport(report), reset_num_timesteps=False)
        return agent.num_timesteps - before

    def ask(self, allowed_in_all: float) -> int:
        """Ask as many questions about the policy's responses as the money still pays for."""
        broker = self._known_broker()
        self._poll()  # money of questions that nobody answers any more is free again
        allowed = allowed_in_all - broker.budget.spent - broker.budget.reserved
        costs = self.settings.prices_of(self._prices, self._task.config.max_new_tokens)
        queries: list[Query] = []
        for kind, count in self.settings.counts(max(0.0, allowed), costs).items():
            queries += self._questions(kind, count)
        return len(broker.submit(queries).asked)

    def receive(self) -> int:
        """Take in the answers that have come, and begin the next round.

        Raises:
            ValueError: An answer that does not fit what was asked.
        """
        self._poll()
        self._known_broker().next_round()
        return len(self.records)

    def fit(self) -> dict[str, Any]:
        """Learn the reward anew from all answers, once they tell better from worse."""
        config, task = self._reward_config, self._task.config
        labels = labels_from_records(self.records, _read_words)
        if not labels.has_contrast:
            return {}
        output = self._reward_folder(self._version + 1)
        found = fit_text_reward(
            labels,
            replace(
                config,
                model=str(task.reference_model),
                tokenizer=task.tokenizer,
                max_prompt_tokens=task.max_prompt_tokens,
                max_response_tokens=task.max_new_tokens,
                seed=self._seed,
                device=task.device,
            ),
            output=output,
            normalise_on=[e.prompt_ids + e.response_ids for e in self._reference],
        )
        shutil.rmtree(output / "training", ignore_errors=True)
        self._version += 1
        return {kind: report.as_dict() for kind, report in found.held_out.items()}

    def evaluate(self, episodes: int) -> Estimate:
        """Answer held-out prompts and return the mean gold."""
        return self._sampler.mean_gold(self._policy, episodes, self._drawn(_MEASURE))

    @property
    def spent(self) -> float:
        """What the labels have cost."""
        return self._known_broker().budget.spent

    def write_state(self, folder: Path) -> None:
        """Write policy, broker and teacher; answers and rewards have places of their own."""
        broker = self._known_broker()
        if self.agent is not None:
            self.agent.save(folder / _AGENT)
        numbers = {
            "version": self._version,
            "num_asked": self._num_asked,
            "broker": broker.state_dict(),
            "records": [record.record_id for record in self.records],
        }
        save_json(folder / _STATE, numbers)

    def read_state(self, folder: Path) -> None:
        """Take back what `write_state` wrote."""
        numbers = load_json(folder / _STATE)
        self._version, self._num_asked = int(numbers["version"]), int(numbers["num_asked"])
        broker = self._known_broker()
        broker.load_state_dict(numbers["broker"])
        known = broker.store.find(numbers["records"])
        self.records = [r for r in map(known.get, numbers["records"]) if r is not None]
        if (folder / _AGENT).is_dir():
            self.agent = PPO.load(folder / _AGENT, env=self._env(), device=self._task.config.device)

    def close(self) -> None:
        """Close the rows."""
        if self.agent is not None and self.agent.env is not None:
            self.agent.env.close()

    @cached_property
    def _reference(self) -> list[Episode]:
        """What the reference model answers to training prompts."""
        drawn = np.random.default_rng(self._drawn(_REFERENCE, 0))
        rows = self._prompts(self.settings.n_reference, drawn)
        seed = self._drawn(_REFERENCE, 0)
        return self._sampler.sampled(self._sampler.reference(), rows, seed)

    @property
    def _policy(self) -> TransformerPolicy:
        return self._sampler.reference() if self.agent is None else self.agent.policy

    def _poll(self) -> None:
        received = self._known_broker().poll()
        received.raise_rejected()
        late = [record for record in received.late if not isinstance(record, Skipped)]
        self.records += [*received.records, *late]

    def _questions(self, kind: str, count: int) -> list[Query]:
        if not count:
            return []
        purpose = RESPONSES[kind] + 10 * self.settings.kinds.index(kind)
        generator = np.random.default_rng([self._drawn(_CHOOSE), purpose])
        reward = self._reward()
        is_random = reward is None or self.settings.selection == "random"
        rows = self._prompts(count if is_random else count * self.settings.candidates, generator)
        size, policy = RESPONSES[kind], self._policy
        rows = [row for row in rows for _ in range(size)]
        episodes = self._sampler.sampled(policy, rows, self._drawn(_ASK) + purpose)
        groups: list[Group] = [episodes[i : i + size] for i in range(0, len(episodes), size)]
        chosen = chosen_groups(groups, count, self.settings.selection, reward, generator)
        fingerprint = weights_fingerprint(policy.language_model)
        found = []
        for group in chosen:
            self._num_asked += 1
            found.append(
                question(
                    kind,
                    group,
                    self._run_id,
                    self._num_asked,
                    generator,
                    fingerprint=fingerprint,
                    temperature=self._task.config.temperature,
                )
            )
        return found

    def _prompts(self, count: int, generator: np.random.Generator) -> list[int]:
        """Draw P training prompts, each as rarely as possible more than once."""
        return np.resize(generator.permutation(len(self._task.prompts)), count).tolist()

    def _reward(self) -> RewardFn | None:
        if not self._version:
            return None
        task = self._task
        return learned_reward(self._model(), task.tokenizer, task.config.device)

    def _reward_folder(self, version: int) -> Path:
        return self._folder / f"reward-{version}"

    def _model(self) -> str:
        return str(self._reward_folder(self._version) / "model")

    def _env(self) -> gym.vector.VectorEnv:
        kwargs = {**self._env_kwargs, "reward": "model", "reward_model": self._model()}
        return gym.make_vec(self.env_id, num_envs=self.settings.n_envs, **kwargs)

    def _seated(self) -> PPO:
        """Return PPO in front of the newest reward, all that it draws begun anew for the round."""
        if self.agent is None:
            self.agent = new_agent(self._env(), self.settings, self._task, self._seed)
        else:
            self.agent.set_env(self._env())
        seed = self._drawn(_ACT)
        assert self.agent.env is not None, "PPO has just been given its environment"
        self.agent.env.seed(seed)
        self.agent.policy.seed_sampling(seed)
        self.agent.rollout_buffer.rng = np.random.default_rng(seed)
        return self.agent

    def _known_broker(self) -> FeedbackBroker:
        if self._broker is None:
            golds = np.array([e.gold_score for e in self._reference], dtype=np.float64)
            self._broker = self._make_broker(golds, judge_of(self._task))
        return self._broker

    def _drawn(self, purpose: int, round_index: int | None = None) -> int:
        """Return a seed that follows from the run's, the round and what it is for."""
        index = self._round if round_index is None else round_index
        words = np.random.SeedSequence([self._seed, index, purpose]).generate_state(1)
        return int(words[0]) >> 2


def new_agent(
    env: gym.vector.VectorEnv, settings: TextLoopSettings, task: TextTask, seed: int
) -> PPO:
    """Return PPO that begins as the reference model."""
    rate = settings.policy_learning_rate
    if rate is None:
        rate = default_learning_rate(model_kind(str(task.config.reference_model))).peak
    given = {} if settings.kl_coef is None else {"kl_coef": settings.kl_coef}
    return PPO(
        "TransformerPolicy",
        env,
        learning_rate=LearningRate(peak=rate),
        seed=seed,
        device=task.config.device,
        **{**given, **settings.ppo},
    )


def _read_words(said: Sequence[LanguageFeedback]) -> np.ndarray:
    return rubric_critic().scores([record.words for record in said])
