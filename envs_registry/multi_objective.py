"""RLHF-MultiObjective-v0: helpful and brief, two rewards that pull apart, weighed or as a vector.

Description:
    The task of RLHF-Summarize-v0, write the TL;DR of a post, with its objectives apart:
    helpfulness, what the learned reward model says of the response, and brevity, which falls with
    every word beyond a dozen. `weights` make one reward of them; with `vector_reward` a step pays
    the vector, as MO-Gymnasium's environments do.

Observation:
    As in RLHF-Summarize-v0: `Box(0, V, (L,), int64)`, the post's tokens, the response's, then V.

Action:
    `Discrete(A)`: the next token; A = V unless `action_tokens` says otherwise.

Reward:
    `kl_coef * log pi_ref(a|s)` at each step, and at the end `w1 * helpfulness + w2 * brevity`, the
    weights divided by their sum; both objectives have mean 0 and standard deviation 1 over the
    reference's responses. With `vector_reward` each step pays (helpfulness, brevity), (2,) float32
    in `reward_space`, both with the KL part, so that for weights that sum to 1
    `weights @ vector` is exactly the scalar reward.

Episode end:
    An end token or `max_new_tokens`; both terminate.

Info:
    As in every text environment (docs/environment.md). `reward_terms` holds `helpfulness` and
    `brevity`, weighted so that they sum to the score; with `vector_reward` they are not weighted.
    `gold_score` weighs the true helpfulness (facts told, nothing wrong, 0 to 1) and the brevity (0
    to 1) by the same weights.

Arguments:
    `weights` ("helpfulness=1,brevity=1"): at least 0, one above it. `vector_reward` (False): pay
    the vector; it takes no weights and no deferred rewards. Gymnasium's own checker expects a
    number, so `gym.make(..., vector_reward=True, disable_env_checker=True)`, and its
    `vectorization_mode="sync"` and "async" hold one number a row: rows side by side are those of
    `gym.make_vec` as it is. Those of `TextEnvConfig`; `reward` says what helpfulness is.

Data:
    That of RLHF-Summarize-v0, whose bundled models are used too.

Version history:
    v0: first version.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from textgym.config import TextEnvConfig
from textgym.envs_registry import summarize
from textgym.envs_registry.best_responses import BestResponseParts
from textgym.envs_registry.summarize_posts.gold import gold_terms
from textgym.envs_registry.summarize_posts.humans import ideal_summary
from textgym.rewards.base import AskedReward, RewardFn, needs_facts
from textgym.rewards.composed import WeightedSum
from textgym.task import TextTask
from textgym.token_env import TokenEnv
from textgym.types import Episode
from textgym.vector_env import TokenVectorEnv, VectorStep

OBJECTIVES = ("helpfulness", "brevity")
WEIGHTS = "helpfulness=1,brevity=1"
# Up to here a response is brief; from there on it is not brief at all, in words.
BRIEF_WORDS, LONG_WORDS = 12, 36
# Mean and standard deviation of the bundled reference's brevity, 1,024 sampled responses.
BREVITY_SCALE = (0.674, 0.226)
# Parts of the gold utility of summaries that are no matter of help: brevity is paid apart.
NOT_HELP = ("length", "floor")


@dataclass(frozen=True, kw_only=True)
class MultiObjectiveConfig(TextEnvConfig):
    """Arguments of RLHF-MultiObjective-v0.

    Attributes:
        weights: "helpfulness=0.7,brevity=0.3": of each objective, at least 0; None for `WEIGHTS`.
        vector_reward: Whether steps pay the vector of objectives.
    """

    weights: str | None = None
    vector_reward: bool = False

    def __post_init__(self) -> None:
        """Check the weights and what contradicts a vector."""
        super().__post_init__()
        parsed_weights(WEIGHTS if self.weights is None else self.weights)
        if not isinstance(self.vector_reward, bool):
            raise ValueError(f"vector_reward must be True or False, got {self.vector_reward!r}")
        if self.vector_reward and self.weights is not None:
            raise ValueError(
                f"vector_reward=True pays the objectives unweighted: expected no weights, "
                f"got {self.weights!r}"
            )
        if self.vector_reward and self.reward_timing != "step":
            _refuse_deferred(self.reward_timing)


def parsed_weights(text: object) -> dict[str, float]:
    """Return the weight of each objective, divided by their sum.

    Raises:
        ValueError: No text of the form, an objective unknown, missing or named twice, a weight that
            is negative or not finite, or all weights zero.
    """
    if not isinstance(text, str):
        raise ValueError(f"weights must be such as {WEIGHTS!r}, got {text!r}")
    pairs = [part.partition("=") for part in text.split(",")]
    names = [name.strip() for name, _, _ in pairs]
    if sorted(names) != sorted(OBJECTIVES):
        raise ValueError(f"weights must name each of {OBJECTIVES} once, got {text!r}")
    weights = {name.strip(): _weight(value, text) for name, _, value in pairs}
    total = sum(weights.values())
    if not total > 0:
        raise ValueError(f"weights must not all be zero, got {text!r}")
    return {name: weights[name] / total for name in OBJECTIVES}


def _weight(value: str, text: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        raise ValueError(f"weights must be such as {WEIGHTS!r}, got {text!r}") from None
    if not 0 <= weight < math.inf:
        raise ValueError(f"weights must be finite and at least 0, got {weight!r} in {text!r}")
    return weight


def brevity_of(response: str) -> float:
    """Return 1 up to `BRIEF_WORDS` words, 0 from `LONG_WORDS` on, linear between."""
    words = len(response.split())
    return min(1.0, max(0.0, (LONG_WORDS - words) / (LONG_WORDS - BRIEF_WORDS)))


class Brevity:
    """The brevity of responses in standard deviations of the reference's."""

    name = "brevity"

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        mean, std = BREVITY_SCALE
        found = [(brevity_of(episode.response) - mean) / std for episode in episodes]
        return np.array(found, dtype=np.float32)


class Helpfulness:
    """Another reward under the objective's name."""

    name = "helpfulness"

    def __init__(self, reward: RewardFn) -> None:
        """Take what helpfulness is."""
        self._reward = reward
        self.needs_facts = needs_facts(reward)

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the scores, (N,) float32."""
        return np.asarray(self._reward(episodes), dtype=np.float32)


class MultiObjectiveGold:
    """The weighted sum of true helpfulness and brevity, in [0, 1]."""

    name = "gold"

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Take weights that sum to 1."""
        self._weights = dict(weights)

    def __call__(self, episodes: Sequence[Episode]) -> np.ndarray:
        """Return the gold utility, (N,) float32."""
        found = [
            self._weights["helpfulness"] * true_helpfulness(episode)
            + self._weights["brevity"] * brevity_of(episode.response)
            for episode in episodes
        ]
        return np.array(found, dtype=np.float32)


def true_helpfulness(episode: Episode) -> float:
    """Return how well the facts of a post are told, however briefly, in [0, 1]."""
    terms = gold_terms(episode.prompt.facts, episode.response, episode.finish_reason)
    return max(0.0, sum(value for name, value in terms.items() if name not in NOT_HELP))


def build_task(config: MultiObjectiveConfig) -> TextTask:
    """Return RLHF-Summarize-v0's task with two objectives.

    Raises:
        ValueError: A reward that somebody is asked for: only answers at once can be weighed.
    """
    task = summarize.build_task(config)
    if isinstance(task.reward, AskedReward) and not task.reward.answers_at_once:
        raise ValueError(
            f"RLHF-MultiObjective-v0 needs a reward that answers at once, got {config.reward!r}"
        )
    weights = parsed_weights(WEIGHTS if config.weights is None else config.weights)
    paid = dict.fromkeys(OBJECTIVES, 1.0) if config.vector_reward else weights
    reward = WeightedSum(
        [(paid["helpfulness"], Helpfulness(task.reward)), (paid["brevity"], Brevity())]
    )
    gold = None if task.gold is None else MultiObjectiveGold(weights)
    return replace(task, reward=reward, gold=gold)


def _reward_space() -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (len(OBJECTIVES),), np.float32)


def _vectors(rewards: np.ndarray, terms: Mapping[str, Any] | None) -> np.ndarray:
    """Return (N, 2) float32: each objective and what both are paid beside it, the KL part.

    Args:
        rewards: (N,) sums of all terms.
        terms: Name to (N,) of the rows that ended, zeros elsewhere; None where none did.
    """
    shares = np.zeros((len(rewards), len(OBJECTIVES)))
    if terms is not None:
        shares = np.stack([np.asarray(terms[name]) for name in OBJECTIVES], axis=1)
    beside = rewards - shares.sum(axis=1)
    return (shares + beside[:, None]).astype(np.float32)


def _refuse_deferred(timing: str) -> None:
    raise ValueError(
        f"vector_reward=True pays vectors in every step: expected reward_timing='step', got "
        f"{timing!r} (algorithms of one reward need vector_reward=False)"
    )


class MultiObjectiveEnv(BestResponseParts, TokenEnv):
    """One row of RLHF-MultiObjective-v0; see the module's docstring.

    Attributes:
        reward_space: Of the vector of objectives, (2,) float32.
        reward_dim: 2.
    """

    task_builder = staticmethod(build_task)
    config_class = MultiObjectiveConfig
    default_kwargs = summarize.DEFAULTS
    reward_space = _reward_space()
    reward_dim = len(OBJECTIVES)
    best_by_facts = staticmethod(ideal_summary)

    @property
    def pays_vectors(self) -> bool:
        """Whether `vector_reward` is set."""
        return bool(self.config.vector_reward)  # type: ignore[attr-defined]

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Write one token; with `vector_reward` the reward is (2,) float32."""
        observation, reward, terminated, truncated, info = super().step(action)
        if not self.pays_vectors:
            return observation, reward, terminated, truncated, info
        terms = info.get("reward_terms")
        columns = None if terms is None else {name: [terms[name]] for name in OBJECTIVES}
        vector = _vectors(np.array([reward]), columns)[0]
        return observation, vector, terminated, truncated, info


class MultiObjectiveVectorEnv(BestResponseParts, TokenVectorEnv):
    """N rows of RLHF-MultiObjective-v0; see the module's docstring.

    Attributes:
        reward_space: Of one row's vector of objectives, (2,) float32, as MO-Gymnasium has it.
        reward_dim: 2.
    """

    task_builder = staticmethod(build_task)
    config_class = MultiObjectiveConfig
    default_kwargs = summarize.DEFAULTS
    reward_space = _reward_space()
    reward_dim = len(OBJECTIVES)
    best_by_facts = staticmethod(ideal_summary)

    @property
    def pays_vectors(self) -> bool:
        """Whether `vector_reward` is set."""
        return bool(self.config.vector_reward)  # type: ignore[attr-defined]

    def step(self, actions: Any) -> VectorStep:
        """Write one token in every row; with `vector_reward` rewards are (N, 2) float32."""
        observation, rewards, terminated, truncated, infos = super().step(actions)
        if not self.pays_vectors:
            return observation, rewards, terminated, truncated, infos
        ended = infos.get("final_info", infos)
        vectors = _vectors(rewards, ended.get("reward_terms"))
        return observation, vectors, terminated, truncated, infos

    def set_reward_timing(self, timing: str) -> None:
        """Switch between "step" and "deferred", which vectors do not have.

        Raises:
            ValueError: Another value, or "deferred" with `vector_reward`.
        """
        if self.pays_vectors and timing != "step":
            _refuse_deferred(timing)
        super().set_reward_timing(timing)
